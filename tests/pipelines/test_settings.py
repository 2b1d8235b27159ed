from pathlib import Path

import pytest

from pipelines.settings import Settings, SettingsError, variable


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_everything_lies_under_the_data_directory_by_default(tmp_path: Path) -> None:
    settings = Settings()
    assert settings.data_dir == tmp_path / "data"
    assert settings.directory.lake == tmp_path / "data" / "lake"
    assert settings.directory.warehouse == tmp_path / "data" / "warehouse.duckdb"
    assert settings.directory.analytics == tmp_path / "data" / "analytics.duckdb"


@pytest.mark.parametrize("given", ["{0}/lake here", "file://{0}/lake%20here"])
def test_a_lake_is_a_path_or_a_file_address(given: str, tmp_path: Path) -> None:
    assert Settings(lake_url=given.format(tmp_path)).directory.lake == tmp_path / "lake here"


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("CIVITAI_API_KEY=from-file\nCIVITAI_ETL_WINDOW_PAGES=7\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("CIVITAI_ETL_WINDOW_PAGES", "8")
    settings = Settings()
    assert settings.window_pages == 8
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "from-file"
    assert "from-file" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "dialect", "loopback"),
    [
        ("https://civitai.com/api/v1/", "live", False),
        ("https://civitai.red/api/v1", "live", False),
        ("https://api.civitai.com/api/v1", "live", False),
        ("http://127.0.0.1:8377/api/v1", "spec", True),
        ("http://localhost/api/v1", "spec", True),
        ("http://[::1]:80/api/v1", "spec", True),
        ("https://127.0.0.1.example.org/api/v1", "spec", False),
    ],
)
def test_the_dialect_follows_the_host(url: str, dialect: str, loopback: bool) -> None:
    settings = Settings(api_url=url)
    assert (settings.dialect_name, settings.is_loopback) == (dialect, loopback)
    assert not settings.api_url.endswith("/")
    assert Settings(api_url=url, dialect="spec").dialect_name == "spec"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CIVITAI_ETL_WINDOW_PAGES", "0", "greater than or equal to 1"),
        ("CIVITAI_ETL_REQUESTS_PER_SECOND", "fast", "valid number"),
        ("CIVITAI_ETL_DIALECT", "klingon", "'live' or 'spec'"),
        ("CIVITAI_ETL_API_URL", "civitai.com", "https://civitai.com/api/v1"),
        ("CIVITAI_ETL_API_URL", "https://x.org/api?token=a", "CIVITAI_API_KEY"),
        ("CIVITAI_ETL_API_URL", "http://127.0.0.1:99999/api/v1", "https://civitai.com/api/v1"),
        ("CIVITAI_ETL_API_URL", "http://127.0.0.1:0/api/v1", "https://civitai.com/api/v1"),
        ("CIVITAI_ETL_API_URL", "http://two words/api/v1", "https://civitai.com/api/v1"),
        ("CIVITAI_ETL_API_URL", "http://no..name/api/v1", "https://civitai.com/api/v1"),
        ("CIVITAI_ETL_REQUESTS_PER_SECOND", "9223372036854775808", "less than or equal to 1000000"),
        ("CIVITAI_ETL_TIMEOUT_SECONDS", "1e22", "less than or equal to 86400"),
        ("CIVITAI_ETL_LAKE_URL", "s3://bucket/lake", "not supported yet"),
        ("CIVITAI_ETL_LAKE_URL", "file://host/lake", "a directory of this machine"),
        ("CIVITAI_ETL_DAILY_CRON", "daily", "cron expression of five fields"),
        ("CIVITAI_ETL_DAILY_CRON", "0 0 3 * * *", "cron expression of five fields"),
        ("CIVITAI_ETL_DAILY_CRON", "R 3 * * *", "cron expression of five fields"),
        ("CIVITAI_ETL_REFRESH_CRON", "61 * * * *", "cron expression of five fields"),
        ("CIVITAI_ETL_REFRESH_CRON", "0 0 30 2 *", "no date fits"),
        ("CIVITAI_API_KEY", "two sentinel-keys", "characters that no key has"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: .*{told}") as error:
        Settings()
    assert "\n" not in str(error.value)


def test_a_key_or_an_address_that_is_refused_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("CIVITAI_API_KEY", "sentinel\nkey"), ("CIVITAI_ETL_API_URL", "https://x.org/?token=sentinel")):
        monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError) as error:
            Settings()
        assert "sentinel" not in str(error.value)
        monkeypatch.delenv(name)


def test_the_new_line_at_the_end_of_a_mounted_secret_is_no_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVITAI_API_KEY", "a-key\n")
    key = Settings().api_key
    assert key is not None
    assert key.get_secret_value() == "a-key"


def test_an_empty_variable_is_an_unset_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("".join(f"{variable(name)}=\n" for name in Settings.model_fields))
    assert Settings() == Settings(_env_file=None)
    (tmp_path / ".env").unlink()
    for name in Settings.model_fields:
        monkeypatch.setenv(variable(name), "")
    assert Settings().model_fields_set == set()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "iso-8859-1"])
def test_an_env_file_in_another_encoding_is_one_line(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".env").write_text("# cl\xe9 priv\xe9e\nCIVITAI_ETL_WINDOW_PAGES=7\n", encoding=encoding)
    with pytest.raises(SettingsError, match=r"^\.env is no UTF-8 text: "):
        Settings()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_an_env_file_may_begin_with_the_mark_of_its_editor(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".env").write_text("CIVITAI_ETL_WATCH_USERS=\u540d\n", encoding=encoding)
    assert Settings().watch_users == ("\u540d",)


@pytest.mark.parametrize("name", ["CIVITAI_ETL_DATA_DIR", "CIVITAI_ETL_LAKE_URL"])
def test_the_home_of_nobody_is_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "~nosuchuser/civitai")
    with pytest.raises(SettingsError, match=f"^{name}: ~nosuchuser is nobody's home here"):
        Settings()


def test_a_working_directory_that_is_gone_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SettingsError, match="CIVITAI_ETL_DATA_DIR: the working directory is gone"):
        Settings()
    assert Settings(data_dir=tmp_path).data_dir == tmp_path


def test_every_setting_says_what_it_is_for() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
    assert variable("api_key") == "CIVITAI_API_KEY"
    assert variable("data_dir") == "CIVITAI_ETL_DATA_DIR"


def test_a_watch_list_is_separated_by_commas(monkeypatch):
    monkeypatch.setenv("CIVITAI_ETL_WATCH_MODELS", " 12, 7 ,")
    monkeypatch.setenv("CIVITAI_ETL_WATCH_USERS", "ann,Bob the 2nd")
    monkeypatch.setenv("CIVITAI_ETL_WATCH_VERSIONS", "")
    settings = Settings()
    assert (settings.watch_models, settings.watch_versions) == ((12, 7), ())
    assert settings.watch_users == ("ann", "Bob the 2nd")


@pytest.mark.parametrize("ids", ["0", "-1", "12;13", "2147483648"])
def test_what_is_no_id_cannot_be_watched(ids, monkeypatch):
    monkeypatch.setenv("CIVITAI_ETL_WATCH_VERSIONS", ids)
    with pytest.raises(SettingsError, match=r"^CIVITAI_ETL_WATCH_VERSIONS: "):
        Settings()
