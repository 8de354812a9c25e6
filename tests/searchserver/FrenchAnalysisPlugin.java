/*
 * The analysis of the usual distribution, as far as Veille's index template and the server's own security
 * index ask for it. The server for integration tests ships without its analysis module, but with Lucene's
 * classes; here they get the names and settings that they have in production. Analyses nothing itself.
 */
package veille;

import java.io.Reader;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.charfilter.MappingCharFilter;
import org.apache.lucene.analysis.charfilter.NormalizeCharMap;
import org.apache.lucene.analysis.core.KeywordTokenizer;
import org.apache.lucene.analysis.core.WhitespaceTokenizer;
import org.apache.lucene.analysis.email.UAX29URLEmailTokenizer;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.RemoveDuplicatesTokenFilter;
import org.apache.lucene.analysis.miscellaneous.StemmerOverrideFilter;
import org.apache.lucene.analysis.miscellaneous.TruncateTokenFilter;
import org.apache.lucene.analysis.pattern.PatternCaptureGroupTokenFilter;
import org.apache.lucene.analysis.pattern.PatternReplaceCharFilter;
import org.apache.lucene.analysis.pattern.PatternReplaceFilter;
import org.apache.lucene.analysis.pattern.PatternTokenizer;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.analysis.CharFilterFactory;
import org.elasticsearch.index.analysis.NormalizingCharFilterFactory;
import org.elasticsearch.index.analysis.NormalizingTokenFilterFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;

public class FrenchAnalysisPlugin extends Plugin implements AnalysisPlugin {

    record Filter(String name, UnaryOperator<TokenStream> make) implements NormalizingTokenFilterFactory {
        @Override
        public TokenStream create(TokenStream words) {
            return make.apply(words);
        }
    }

    record Characters(String name, UnaryOperator<Reader> make) implements NormalizingCharFilterFactory {
        @Override
        public Reader create(Reader text) {
            return make.apply(text);
        }
    }

    record Splitter(String name, Supplier<Tokenizer> make) implements TokenizerFactory {
        @Override
        public Tokenizer create() {
            return make.get();
        }
    }

    @Override
    public Map<String, AnalysisProvider<CharFilterFactory>> getCharFilters() {
        return Map.of(
            "mapping", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, settings) -> {
                NormalizeCharMap map = mapping(settings.getAsList("mappings"));
                return new Characters(name, text -> new MappingCharFilter(map, text));
            }),
            "pattern_replace", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, settings) -> {
                Pattern pattern = pattern(settings);
                String replacement = settings.get("replacement", "");
                return new Characters(name, text -> new PatternReplaceCharFilter(pattern, replacement, text));
            })
        );
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of(
            "whitespace", (index, environment, name, settings) -> new Splitter(name, WhitespaceTokenizer::new),
            "keyword", (index, environment, name, settings) -> new Splitter(name, KeywordTokenizer::new),
            "uax_url_email", (index, environment, name, settings) -> new Splitter(name, UAX29URLEmailTokenizer::new),
            "pattern", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, settings) -> {
                Pattern pattern = pattern(settings);
                int group = settings.getAsInt("group", -1);
                return new Splitter(name, () -> new PatternTokenizer(pattern, group));
            })
        );
    }

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "asciifolding", (index, environment, name, settings) -> new Filter(name, ASCIIFoldingFilter::new),
            "unique", (index, environment, name, settings) -> new Filter(name, RemoveDuplicatesTokenFilter::new),
            "truncate", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, settings) -> {
                int length = settings.getAsInt("length", -1);
                return new Filter(name, words -> new TruncateTokenFilter(words, length));
            }),
            "pattern_replace", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, settings) -> {
                Pattern pattern = pattern(settings);
                String replacement = settings.get("replacement", "");
                return new Filter(name, words -> new PatternReplaceFilter(words, pattern, replacement, true));
            }),
            "stemmer_override", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, settings) -> {
                StemmerOverrideFilter.StemmerOverrideMap map = overrides(settings.getAsList("rules"));
                return new Filter(name, words -> new StemmerOverrideFilter(words, map));
            }),
            "pattern_capture", AnalysisPlugin.requiresAnalysisSettings((index, environment, name, settings) -> {
                Pattern[] patterns = settings.getAsList("patterns").stream().map(Pattern::compile).toArray(Pattern[]::new);
                boolean whole = settings.getAsBoolean("preserve_original", true);
                return new Filter(name, words -> new PatternCaptureGroupTokenFilter(words, whole, patterns));
            })
        );
    }

    private static Pattern pattern(Settings settings) {
        return Pattern.compile(settings.get("pattern"));
    }

    private static NormalizeCharMap mapping(List<String> rules) {
        NormalizeCharMap.Builder map = new NormalizeCharMap.Builder();
        for (String rule : rules) {
            String[] sides = rule.split("=>");
            map.add(sides[0].trim(), sides[1].trim());
        }
        return map.build();
    }

    private static StemmerOverrideFilter.StemmerOverrideMap overrides(List<String> rules) throws java.io.IOException {
        StemmerOverrideFilter.Builder map = new StemmerOverrideFilter.Builder(false);
        for (String rule : rules) {
            String[] sides = rule.split("=>");
            map.add(sides[0].trim(), sides[1].trim());
        }
        return map.build();
    }
}
