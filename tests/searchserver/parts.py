"""What a server is made of: a JDK of this machine, the official server for integration tests, our plugin.

Starts nothing. What was downloaded or compiled stays in the user's cache.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

VERSION = "9.3.2"
JAVA = 25  # what this version is shipped with
ARTIFACT = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
PLUGIN = Path(__file__).with_name("FrenchAnalysisPlugin.java")
DESCRIPTOR = f"""\
description=the analysis of the usual distribution, for tests
version=1
name=veille-analysis
classname=veille.FrenchAnalysisPlugin
java.version=21
elasticsearch.version={VERSION}
"""


class Lacking(Exception):
    """This machine cannot run the server; says what it lacks."""


def jdk() -> Path:
    """The home of a JDK of the right version. Raises Lacking."""
    for home in _java_homes():
        release = home / "release"
        if (home / "bin" / "javac").exists() and release.exists():
            found = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(), re.MULTILINE)
            if found and int(found[1]) == JAVA:
                return home
    raise Lacking(f"no Elasticsearch for tests: it needs a JDK {JAVA}; set ES_JAVA_HOME to one")


def unpack(folder: Path, java: Path) -> None:
    """Lay the server with its plugin into `folder`. Raises Lacking."""
    with zipfile.ZipFile(_distribution()) as archive:
        archive.extractall(folder)
    home = folder / f"elasticsearch-{VERSION}"
    for program in (home / "bin").iterdir():
        program.chmod(0o755)
    plugin = home / "plugins" / "veille-analysis"
    plugin.mkdir()
    (plugin / "plugin-descriptor.properties").write_text(DESCRIPTOR)
    shutil.copy(_jar(home, java), plugin / "veille-analysis.jar")


def _java_homes() -> list[Path]:
    named = [os.environ[name] for name in ("ES_JAVA_HOME", "JAVA_HOME") if os.environ.get(name)]
    on_path = shutil.which("javac")
    homes = [Path(home) for home in named] + sorted(Path("/usr/lib/jvm").glob("*"))
    return [*homes, Path(on_path).resolve().parent.parent] if on_path else homes


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "veille-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _distribution() -> Path:
    """The server's archive: from the cache, else through Maven as this machine has it set up."""
    target = _cache() / f"elasticsearch-{VERSION}.zip"
    if target.exists():
        return target
    maven = shutil.which("mvn")
    if not maven:
        raise Lacking("no Elasticsearch for tests: it comes through Maven, and there is no mvn")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [maven, "-q", "-B", COPY, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
        made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        if made.returncode:
            said = next((line for line in made.stdout.splitlines() if "ERROR" in line), made.stderr.strip())
            raise Lacking(f"no Elasticsearch for tests: Maven did not get it: {said[:300]}")
        (Path(folder) / target.name).replace(target)
    return target


def _jar(home: Path, java: Path) -> Path:
    digest = hashlib.sha256(PLUGIN.read_bytes() + DESCRIPTOR.encode()).hexdigest()[:16]
    target = _cache() / f"veille-analysis-{digest}.jar"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        classes, jar = Path(folder) / "classes", Path(folder) / target.name
        compiling = [java / "bin" / "javac", "--release", "21", "-proc:none", "-Xlint:-options"]
        subprocess.run([*compiling, "-cp", f"{home}/lib/*", "-d", classes, PLUGIN], check=True)
        subprocess.run([java / "bin" / "jar", "--create", "--file", jar, "-C", classes, "."], check=True)
        jar.replace(target)
    return target
