"""Settings: one table, four sources in their order, and a truthful sentence for whatever does not fit."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from modelport.config import BY_NAME, SETTINGS, Settings, check, resolve
from modelport.errors import UsageError


def test_the_table_and_the_dataclass_agree():
    assert [setting.name for setting in SETTINGS] == [item.name for item in fields(Settings)]
    assert resolve({}, {}, {}) == Settings()
    for setting in SETTINGS:
        assert getattr(Settings(), setting.name) == setting.default
        assert BY_NAME[setting.name] is setting
        assert setting.help.endswith(".")
        if setting.default not in (None, ()):
            assert check(setting, setting.default, "x") == setting.default
        assert (setting.kind == "choice") is bool(setting.choices)


def test_flag_and_variable_follow_from_the_name():
    assert (BY_NAME["max_body_mb"].flag, BY_NAME["max_body_mb"].variable) == ("--max-body-mb", "MODELPORT_MAX_BODY_MB")


def test_a_flag_wins_over_the_environment_that_over_toml_that_over_the_default():
    toml, environment = {"port": 1, "drain": 2, "debug": True}, {"MODELPORT_PORT": "3", "MODELPORT_DRAIN": "4"}
    found = resolve({"port": 5, "host": None, "trust": ()}, toml, environment)
    assert (found.port, found.drain, found.debug, found.host) == (5, 4.0, True, "127.0.0.1")


def test_without_an_environment_given_the_process_own_counts(monkeypatch):
    monkeypatch.setenv("MODELPORT_PORT", "6001")
    assert resolve({}).port == 6001
    assert resolve({}, None, {}).port == 5005


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("port", "80", 80),
        ("port", 0, 0),
        ("port", 65_535, 65_535),
        ("timeout", "0.5", 0.5),
        ("timeout", 3, 3.0),
        ("workers", 2, "2"),
        ("name", "m", "m"),
        ("log_format", "json", "json"),
        ("debug", "yes", True),
        ("debug", "On", True),
        ("debug", "1", True),
        ("debug", "false", False),
        ("debug", "", False),
        ("debug", False, False),
        ("tls_cert", "a.pem", Path("a.pem")),
        ("tls_cert", Path("a.pem"), Path("a.pem")),
        ("trust", "a.b, c.d,", ("a.b", "c.d")),
        ("trust", ["a.b"], ("a.b",)),
        ("code", ("x", " "), ("x",)),
    ],
)
def test_values_are_brought_to_the_type_of_their_setting(name, given, read):
    found = check(BY_NAME[name], given, "here")
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("port", "http", "here must be a whole number, found 'http'"),
        ("port", 80.5, "here must be a whole number, found 80.5"),
        ("port", True, "here must be a whole number, found True"),
        ("port", None, "here must be a whole number, found None"),
        ("port", -1, "here must be at least 0, found -1"),
        ("port", 65_536, "here must be at most 65535, found 65536"),
        ("max_rows", 0, "here must be at least 1, found 0"),
        ("timeout", "soon", "here must be a number, found 'soon'"),
        ("timeout", "nan", "here must be a number, found 'nan'"),
        ("timeout", "inf", "here must be a number, found 'inf'"),
        ("timeout", 0, "here must be at least 0.001, found 0"),
        ("timeout", [1], "here must be a number, found [1]"),
        ("debug", "maybe", "here must be true or false, found 'maybe'"),
        ("log_format", "xml", "here must be one of text, json, found 'xml'"),
        ("host", "", "here must be a non-empty string, found ''"),
        ("host", ["a"], "here must be a non-empty string, found ['a']"),
        ("host", True, "here must be a non-empty string, found True"),
        ("tls_cert", "", "here must be a non-empty string, found ''"),
        ("trust", 3, "here must be a list of strings, found 3"),
    ],
)
def test_what_does_not_fit_is_named_with_what_was_found_and_expected(name, given, says):
    with pytest.raises(UsageError) as error:
        check(BY_NAME[name], given, "here")
    assert str(error.value) == says


@pytest.mark.parametrize(
    ("sources", "where"),
    [
        (({"port": "x"}, {}, {}), "--port must"),
        (({}, {}, {"MODELPORT_PORT": "x"}), "MODELPORT_PORT must"),
        (({}, {"port": "x"}, {}), '"port" in [serve] must'),
    ],
)
def test_a_fault_is_placed_where_it_stands(sources, where):
    with pytest.raises(UsageError) as error:
        resolve(*sources)
    assert str(error.value).startswith(where)


def test_an_unknown_key_in_toml_is_named_with_those_that_are_known():
    with pytest.raises(UsageError, match=r'unknown key "prot" in \[serve\]; known are host, port,'):
        resolve({}, {"prot": 1}, {})


@pytest.mark.parametrize("name", ["tls_cert", "tls_key"])
def test_certificate_and_key_go_together(name):
    with pytest.raises(UsageError, match="go together"):
        resolve({name: "a.pem"}, {}, {})
    assert resolve({"tls_cert": "a", "tls_key": "b"}, {}, {}).tls_key == Path("b")


def test_workers_and_fronts_are_numbers_or_left_to_the_server():
    assert (Settings().workers_asked(), Settings().fronts_asked()) == (None, 1)
    assert Settings(workers="1024").workers_asked() == 1024
    assert (Settings(fronts="auto").fronts_asked(), Settings(fronts="3").fronts_asked()) == (None, 3)


@pytest.mark.parametrize("text", ["0", "-1", "1025", "two", "1.5", "", "²", "9" * 5000, " 2"])
def test_a_number_of_workers_or_fronts_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match='--workers must be "auto" or a whole number from 1 to 1024'):
        Settings(workers=text).workers_asked()
    with pytest.raises(UsageError, match='--fronts must be "auto" or a whole number from 1 to 256'):
        Settings(fronts=text).fronts_asked()


def test_api_keys_are_the_lines_of_their_file(tmp_path):
    assert Settings().api_keys() == frozenset()
    file = tmp_path / "keys"
    file.write_text(" one \n\ntwo\n")
    assert Settings(api_key_file=file).api_keys() == {"one", "two"}


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read"), (b"\xff\xfe", "cannot be read as UTF-8"), (b" \n", "holds no key")]
)
def test_a_key_file_without_keys_is_refused(tmp_path, content, says):
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=says):
        Settings(api_key_file=file).api_keys()


def test_api_keys_also_come_from_a_variable_and_none_in_it_is_a_mistake(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text("one\n")
    monkeypatch.setenv("MODELPORT_API_KEYS", "two\n three \n")
    assert Settings().api_keys() == {"two", "three"}
    assert Settings(api_key_file=file).api_keys() == {"one", "two", "three"}
    monkeypatch.setenv("MODELPORT_API_KEYS", " \n")
    with pytest.raises(UsageError, match="holds no key"):
        Settings().api_keys()
