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
