"""Settings: what the environment may hold, and the message for what it may not."""

import pytest

from pipeline.errors import ConfigError
from pipeline.settings import from_environment


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999", "1e300", "-99999999999"])
@pytest.mark.parametrize("name", ["VEILLE_CLOCK_OFFSET", "VEILLE_HOST_GAP_SECONDS", "VEILLE_LEASE_SECONDS"])
def test_seconds_are_few(name, value):
    """An endless wait or lease would be met much later, as a bug."""
    with pytest.raises(ConfigError, match=f"{name} is '{value}'; .* are possible"):
        from_environment({name: value, "VEILLE_ALLOW_HOSTS": "press.localhost:80"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [("VEILLE_LOG", "text, json"), ("VEILLE_LOG_LEVEL", "debug, info, warning, error, critical")],
)
def test_a_choice_that_does_not_exist_is_answered_with_those_that_do(name, expected):
    with pytest.raises(ConfigError, match=f"{name} is 'bogus'; one of these is expected: {expected}"):
        from_environment({name: "bogus"})


def test_choices_may_be_in_capitals_or_empty():
    found = from_environment({"VEILLE_LOG": "JSON", "VEILLE_LOG_LEVEL": "Debug"})
    assert (found.log, found.log_level) == ("json", "debug")
    found = from_environment({"VEILLE_LOG": "", "VEILLE_LOG_LEVEL": ""})
    assert (found.log, found.log_level) == ("", "info")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("press.localhost:8080", True),
        ("press.localhost:80", False),
        ("other.localhost", True),
        ("[::1]:8080", True),
        ("[::1]", False),
        ("[2606:4700::1111]", False),
    ],
)
def test_a_host_is_allowed_with_its_port(host, allowed):
    """A host as URLs have it, an address of IPv6 in its brackets."""
    settings = from_environment(
        {"VEILLE_ALLOW_HOSTS": "press.localhost:8080, other.localhost:80 [0:0::1]:8080"}
    )

    assert settings.allows(host) is allowed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VEILLE_LEASE_SECONDS", "1e300"),
        ("VEILLE_LEASE_SECONDS", "0"),
        ("VEILLE_HOST_GAP_SECONDS", "-1"),
        ("VEILLE_CLOCK_OFFSET", "-1e300"),
    ],
)
def test_seconds_that_no_clock_can_count_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} is '{value}'; .* seconds are possible") as caught:
        from_environment({name: value, "VEILLE_ALLOW_HOSTS": "press.localhost:80"})

    assert caught.value.hint == f"unset {name}"


@pytest.mark.parametrize("contact", ["", "a@b.fr", "https://veille.example/contact", "mailbox+veille@b.fr"])
def test_a_contact_goes_into_the_user_agent(contact):
    assert contact in from_environment({"VEILLE_CONTACT": contact}).user_agent


@pytest.mark.parametrize(
    "contact", ["me", "@", "a b@c.fr", "a@b.fr\nX: y", "équipe@b.fr", "ftp://b.fr", "https://"]
)
def test_a_contact_that_no_header_takes_or_nobody_answers_is_refused(contact):
    with pytest.raises(ConfigError, match="a mail address or an http"):
        from_environment({"VEILLE_CONTACT": contact})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///veille?host=/var/run&user=a@b",
        "postgresql://%2Fvar%2Frun/veille",
        "postgres://db",
        "postgresql://user:p%40ss%2F@[::1]:5432/veille",
        "postgresql://user@one:5432,two:5433/veille",
    ],
)
def test_a_database_s_address_is_taken_as_postgresql_takes_it(url):
    assert from_environment({"VEILLE_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:p@ss@db/v", "postgresql://u:p/ss@db/v", "postgresql://u:p?s@db/v", "postgresql://db:x"],
)
def test_a_password_that_is_not_quoted_is_not_shown(url):
    """PostgreSQL would take a part of it for the host or port, and say so in its error."""
    with pytest.raises(ConfigError, match="is not like postgresql://user:password@host:port/name") as caught:
        from_environment({"VEILLE_DATABASE_URL": url})

    assert "ss" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("", "tantivy:"),
        ("tantivy:", "tantivy:"),
        ("http://localhost:9200", "http://localhost:9200"),
        ("https://search.test/", "https://search.test:443"),
        ("https://search.test:9200/way/", "https://search.test:9200/way"),
        ("http://[::1]:9200", "http://[::1]:9200"),
    ],
)
def test_an_index_is_embedded_or_on_a_server(url, opened):
    assert from_environment({"VEILLE_INDEX_URL": url}).index_url == opened


@pytest.mark.parametrize(
    "url", ["tantivy:/elsewhere", "localhost:9200", "http://", "http://host:port", "ftp://h:1"]
)
def test_an_index_anywhere_else_is_refused(url):
    with pytest.raises(ConfigError, match=r"neither tantivy: .* nor http\(s\)://host:9200"):
        from_environment({"VEILLE_INDEX_URL": url})


@pytest.mark.parametrize(
    "url", ["http://elastic:s3cret@localhost:9200", "http://s3cret@localhost:9200", "s3cret@x"]
)
def test_no_secret_is_repeated(url):
    """Neither in the message nor where settings are printed."""
    with pytest.raises(ConfigError) as refused:
        from_environment({"VEILLE_INDEX_URL": url})
    assert "s3cret" not in f"{refused.value}{refused.value.hint}"
    assert "s3cret" not in repr(from_environment({"VEILLE_INDEX_PASSWORD": "s3cret"}))


def test_a_file_of_certificates_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"VEILLE_INDEX_CA is '.*/ca\.pem'; a file of certificates"):
        from_environment({"VEILLE_INDEX_CA": str(tmp_path / "ca.pem")})


def test_an_index_has_a_name_that_a_role_can_be_given_for():
    assert from_environment({"VEILLE_INDEX_NAME": "veille-sport"}).index_name == "veille-sport"
    for name in ("sport", "veille-*", "veille-Sport", "veille-"):
        with pytest.raises(ConfigError, match="VEILLE_INDEX_NAME is"):
            from_environment({"VEILLE_INDEX_NAME": name})
