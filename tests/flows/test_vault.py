"""The vault of the emulator's member, in both dialects: stored, planned, and brought in line with a query while answers
are lost and processes killed. What was sent is counted in the emulator's own log of requests."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from emulator.launch import launch
from flows.steps import run_daily_snapshot
from flows.vault import VaultError, applied_lines, apply, plan, plan_lines, pull, rehearse
from pipelines.errors import CivitaiEtlError
from pipelines.raw.warehouse import connect
from pipelines.settings import Settings
from pipelines.vault.member import MemberError, MemberOfKey
from tests.pipelines.service import Reply, running_service
from transforms.member import account_tables
from transforms.tables.account import AccountPermission, AccountVault, AccountVaultItem

DAY = date(2026, 1, 1)
OTHER = Path(__file__).parents[3] / "shared" / "real" / "other"
TOGGLE = "/vault/toggle-version"


@pytest.fixture(autouse=True)
def soon_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost toggle is under way for two seconds, not for a hundred."""
    monkeypatch.setattr("pipelines.vault.sync.SETTLE", timedelta(seconds=2))


#: Where the dialect makes no difference.
spec_alone = pytest.mark.parametrize("star", ["spec"], indirect=True)
live_alone = pytest.mark.parametrize("star", ["live"], indirect=True)


@pytest.fixture(scope="module", params=["spec", "live"])
def star(request, tmp_path_factory):
    """A published star of each dialect's service."""
    directory = tmp_path_factory.mktemp("star")
    with launch(models=40, dialect=request.param) as emulator:
        settings = Settings(
            api_url=emulator.api_url,
            data_dir=directory,
            dialect=request.param,
            requests_per_second=0,
            image_pages=0,
        )
        run_daily_snapshot(settings, DAY)
        with duckdb.connect(settings.directory.analytics, read_only=True) as connection:
            sizes = dict(
                connection.execute(
                    "select version_id, sum(size_kb) from star.dim_file join star.model_version using (version_id) "
                    "group by 1 order by 2, 1"
                ).fetchall()
            )
        yield emulator, request.param, settings.directory.analytics, sizes


class Desk:
    """One member's vault and the settings to work on it."""

    def __init__(self, emulator, dialect, analytics, sizes, data_dir) -> None:
        self.emulator, self.sizes = emulator, sizes
        self.began = 0
        #: The smallest versions, so that room is no matter.
        self.versions = list(sizes)
        data_dir.mkdir()
        (data_dir / "analytics.duckdb").symlink_to(analytics)
        self.values = {
            "api_url": emulator.api_url,
            "data_dir": data_dir,
            "dialect": dialect,
            "requests_per_second": 0,
            "max_attempts": 4,
            "timeout_seconds": 1,
            "CIVITAI_API_KEY": "test-key",
        }

    def settings(self, **values) -> Settings:
        return Settings(**(self.values | values))

    def plan(self, versions, **values):
        ids = ", ".join(f"({version_id})" for version_id in versions)
        query = f"from (values {ids}) as wanted(version_id)" if versions else "select 1 as version_id where false"
        return plan(self.settings(**values), query)

    def stored(self):
        return MemberOfKey(self.settings()).stored_versions()

    def hold(self, versions) -> None:
        """Make the vault hold these, and store the account."""
        member = MemberOfKey(self.settings())
        for version_id in member.stored_versions() ^ set(versions):
            member.toggle(version_id, lambda: None)
        pull(self.settings())

    def account(self, query):
        directory = self.settings().directory.account
        return duckdb.execute(re.sub(r"\{\}(/\w+\.parquet)", rf"'{directory}\1'", query)).fetchall()

    def sent(self, since=None):
        """How often each toggle was received, by the version in it or, where that is in the body, in all."""
        return Counter(
            one["request"]
            for one in self.emulator.requests(self.began if since is None else since)
            if one["method"] == "POST" and TOGGLE in one["request"]
        )

    def mark(self):
        return len(self.emulator.requests())


@pytest.fixture
def desk(star, tmp_path):
    """An empty vault of a silver membership."""
    emulator, dialect, analytics, sizes = star
    emulator.order_faults("")
    emulator.set_tier("Silver")
    desk = Desk(emulator, dialect, analytics, sizes, tmp_path / "data")
    member = MemberOfKey(desk.settings())
    for version_id in member.stored_versions():
        member.toggle(version_id, lambda: None)
    desk.began = desk.mark()
    return desk


# ------------------------------------------------------------------------------------------------------------- storing


def test_the_account_is_stored_beside_the_star_and_kept_in_raw(desk) -> None:
    one, two = desk.versions[:2]
    desk.hold([one, two])
    assert desk.account("select username, tier from {}/account_me.parquet") == [("test-member", "silver")]
    assert desk.account("select has_vault, storage_kb, used_storage_kb from {}/account_vault.parquet") == [
        (True, 50 * 2**20, pytest.approx(desk.sizes[one] + desk.sizes[two]))
    ]
    items = desk.account("select version_id, size_kb, status from {}/account_vault_item.parquet order by 1")
    assert items == [
        (version_id, pytest.approx(desk.sizes[version_id]), "Pending") for version_id in sorted([one, two])
    ]
    (rights,) = desk.account("select count(*), count(can_generate), count(can_view) from {}/account_permission.parquet")
    assert rights in {(2, 2, 0), (2, 0, 2)}
    with connect(desk.settings().directory.warehouse) as connection:
        rows = connection.execute(
            "select entity_id, payload ->> '$.modelVersionId' from raw.account_vault_item_observations "
            "join raw.account_vault_item_documents using (entity_id, content_hash) order by 2"
        ).fetchall()
        assert [int(version_id) for _, version_id in rows] == sorted([one, two])
        assert connection.execute("select count(*) from raw.account_me_documents").fetchall() == [(1,)]
        permitted = connection.execute("select entity_id from raw.account_permission_documents order by 1").fetchall()
        assert sorted(int(version_id) for (version_id,) in permitted) == sorted([one, two])
    lake = desk.settings().directory.lake
    assert not lake.exists()
    with duckdb.connect(desk.settings().directory.analytics, read_only=True) as connection:
        assert not connection.execute("select 1 from duckdb_views() where view_name like '%account%'").fetchall()


def test_a_second_pull_adds_nothing_to_raw_and_replaces_the_tables(desk) -> None:
    one, two = desk.versions[:2]
    desk.hold([one, two])

    def raw():
        with connect(desk.settings().directory.warehouse) as connection:
            tables = connection.execute("select table_name from duckdb_tables() where table_name like 'account_%'")
            return {
                name: connection.execute(f"select count(*) from raw.{name}").fetchall() for (name,) in tables.fetchall()
            }

    before = raw()
    assert len(before) == 8
    pull(desk.settings())
    assert raw() == before
    desk.hold([two])
    assert desk.account("select version_id from {}/account_vault_item.parquet") == [(two,)]


@live_alone
def test_more_items_than_a_page_are_all_stored(desk, monkeypatch) -> None:
    wanted = set(desk.versions[:5])
    desk.hold(wanted)
    from pipelines.api.dialects import LIVE

    monkeypatch.setitem(vars(LIVE.member), "item_limit", 2)
    assert desk.stored() == wanted


def test_a_membership_without_a_vault_is_no_error(desk) -> None:
    desk.emulator.set_tier("Free")
    pull(desk.settings())
    assert desk.account("select has_vault from {}/account_vault.parquet") == [(False,)]
    assert desk.plan(desk.versions[:1]).quota.fits is False


def test_a_key_that_nobody_knows_is_found_by_asking_for_the_member_first(desk) -> None:
    since = desk.mark()
    with pytest.raises(MemberError, match="does not know the key in CIVITAI_API_KEY"):
        pull(desk.settings(CIVITAI_API_KEY="nobodys-key"))
    assert [one["request"] for one in desk.emulator.requests(since)] == ["/me"]
    with pytest.raises(MemberError, match="set CIVITAI_API_KEY"):
        pull(desk.settings(CIVITAI_API_KEY=""))
    assert len(desk.emulator.requests(since)) == 1


@pytest.mark.skipif(not OTHER.exists(), reason="the recorded payloads are not on this machine")
def test_the_recorded_answers_become_rows() -> None:
    vault, page, permissions = (
        json.loads((OTHER / f"civitai__civitai-developer-docs__{name}.json").read_text())
        for name in ("vault_docs_example_0", "vault_docs_example_1", "permissions_docs_example_0")
    )
    tables = account_tables(
        b'{"id":1,"username":"ada","tier":"free","status":"active","isMember":false,"subscriptions":[]}',
        json.dumps(vault).encode(),
        [json.dumps(item).encode() for item in page["items"]],
        {int(key): json.dumps({key: value}).encode() for key, value in permissions.items()},
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    (item,) = tables[AccountVaultItem].to_dicts()
    sizes = [item[name] for name in ("size_kb", "details_size_kb", "images_size_kb")]
    assert (item["version_id"], item["model_name"], sizes) == (2514310, "WAI-illustrious-SDXL", [6775430, 12, 4096])
    assert item["added_at"] == datetime(2025, 4, 1, 8, 30, tzinfo=UTC)
    assert tables[AccountVault]["storage_kb"].to_list() == [1048576]
    assert tables[AccountPermission].select("version_id", "can_generate").rows() == [(2402203, False), (2514310, True)]


# ------------------------------------------------------------------------------------------------------------ planning


@spec_alone
def test_a_plan_is_the_difference_between_the_vault_and_the_query(desk) -> None:
    here, there, new = desk.versions[:3]
    desk.hold([here, there])
    made = desk.plan([there, new, new, 999_999_999])
    assert (made.add, made.remove, made.keep) == (sorted([new, 999_999_999]), [here], [there])
    assert made.unknown_versions == [999_999_999]
    assert made.quota.unknown_sizes == 1
    assert made.quota.fits is None
    assert made.quota.after_kb == pytest.approx(desk.sizes[there] + desk.sizes[new])
    told = "\n".join(plan_lines(made))
    assert "add 2, remove 1, 1 are there already" in told
    assert f"remove {here}" in told
    written = json.loads((desk.settings().directory.account / "plan.json").read_text())
    assert (written["add"], written["remove"], written["keep"]) == (made.add, made.remove, made.keep)


@spec_alone
def test_the_stored_account_can_be_read_in_the_query(desk) -> None:
    desk.hold(desk.versions[:3])
    made = plan(
        desk.settings(),
        "select version_id from account.vault_item join star.model_version using (version_id) "
        f"where version_id <> {desk.versions[0]}",
    )
    assert (made.add, made.remove) == ([], [desk.versions[0]])


@spec_alone
def test_a_plan_that_does_not_fit_says_so(desk) -> None:
    desk.emulator.set_tier("Founder")
    pull(desk.settings())
    made = desk.plan(desk.versions)
    assert sum(desk.sizes.values()) > 20 * 2**20
    assert made.quota.fits is False
    assert "IT DOES NOT FIT" in made.quota.line()
    assert desk.plan(desk.versions[:1]).quota.fits is True


@spec_alone
def test_a_query_that_gives_no_versions_is_one_line(desk) -> None:
    pull(desk.settings())
    for query, said in {
        "select 1 as id": "must give a column version_id; it gives id",
        "select null::int as version_id": "is null in 1 rows",
        "select 1.5 as version_id": "must be whole numbers",
        "select 'a' as version_id": "must be whole numbers",
        "select -1 as version_id": "is -1 in a row, which is no id",
        "select 18446744073709551615::ubigint as version_id": "is 18446744073709551615 in a row, which is no id",
        "select version_id from nowhere": "The query fails",
        "delete from account.vault_item": "The query fails: The tables are read-only",
        "set threads = 1": "The query fails: The tables are read-only",
    }.items():
        with pytest.raises(VaultError, match=said):
            plan(desk.settings(), query)


@spec_alone
def test_without_a_pull_or_a_plan_it_is_said_what_to_do(desk) -> None:
    with pytest.raises(VaultError, match="vault pull"):
        desk.plan([1])
    with pytest.raises(VaultError, match="vault plan"):
        rehearse(desk.settings())


# ------------------------------------------------------------------------------------------------------------ applying


def test_a_rehearsal_changes_nothing_and_applying_does_it_with_one_toggle_each(desk) -> None:
    old, kept, new = desk.versions[:3]
    desk.hold([old, kept])
    desk.plan([kept, new])
    since = desk.mark()
    assert {str(change) for change in rehearse(desk.settings())} == {f"remove {old}", f"add {new}"}
    assert not desk.sent(since)
    applied = apply(desk.settings())
    assert applied.is_settled
    assert applied_lines(applied) == ["2 done: vault and plan agree."]
    assert sum(desk.sent(since).values()) == 2
    assert desk.stored() == {kept, new}
    again = apply(desk.settings())
    assert [outcome.result for outcome in again.outcomes] == ["no-op", "no-op"]
    assert sum(desk.sent(since).values()) == 2


@pytest.mark.parametrize("fault", ["truncated", "cut"])
def test_a_toggle_whose_answer_was_lost_is_not_sent_again(fault, desk) -> None:
    wanted = desk.versions[:4]
    pull(desk.settings())
    desk.plan(wanted)
    desk.emulator.order_faults(f"{fault} path={TOGGLE}")
    since = desk.mark()
    assert apply(desk.settings()).is_settled
    assert sum(desk.sent(since).values()) == 4
    assert set(desk.sent(since).values()) == ({1} if desk.settings().dialect == "live" else {4})
    assert desk.stored() == set(wanted)


@pytest.mark.parametrize("fault", ["503=0", "500", "429=0"])
def test_what_the_service_could_not_do_is_asked_for_and_then_sent_again(fault, desk) -> None:
    wanted = desk.versions[:3]
    pull(desk.settings())
    desk.plan(wanted)
    desk.emulator.order_faults(f"{fault} path={TOGGLE} nth=1,2")
    since = desk.mark()
    assert apply(desk.settings(timeout_seconds=60)).is_settled
    assert sum(desk.sent(since).values()) == 5
    assert desk.stored() == set(wanted)


def test_a_toggle_that_was_cut_off_before_it_was_made_is_sent_again_only_after_its_time(desk) -> None:
    (wanted,) = desk.versions[:1]
    pull(desk.settings())
    desk.plan([wanted])
    desk.emulator.order_faults(f"reset path={TOGGLE} nth=1")
    since = desk.mark()
    assert apply(desk.settings()).is_settled
    posts = [one for one in desk.emulator.requests(since) if TOGGLE in one["request"]]
    assert len(posts) == 2
    assert posts[1]["at"] - posts[0]["at"] >= 2
    assert desk.stored() == {wanted}


def test_refusals_are_told_for_each_version_and_the_rest_goes_on(desk) -> None:
    good = desk.versions[:2]
    pull(desk.settings())
    desk.plan([good[0], 999_999_999, good[1]])
    applied = apply(desk.settings())
    results = {outcome.change.version_id: outcome.result for outcome in applied.outcomes}
    assert results == {good[0]: "done", good[1]: "done", 999_999_999: "refused"}
    assert not applied.is_settled
    assert any("add 999999999: refused: " in line and "404" in line for line in applied_lines(applied))
    assert desk.stored() == set(good)


@live_alone
def test_what_does_not_fit_is_refused_and_what_makes_room_comes_first(desk) -> None:
    desk.emulator.set_tier("Founder")
    quota = 20 * 2**20
    by_size = sorted(desk.sizes, key=desk.sizes.__getitem__, reverse=True)
    first: list[int] = []
    for version_id in by_size:
        if sum(desk.sizes[one] for one in [*first, version_id]) <= quota:
            first.append(version_id)
    too_much = next(one for one in by_size if one not in first)
    desk.hold(first)
    desk.plan([*first, too_much])
    applied = apply(desk.settings())
    assert [(one.change.version_id, one.result) for one in applied.outcomes if not one.is_settled] == [
        (too_much, "refused")
    ]
    assert "does not fit" in applied_lines(applied)[1]
    room = first[0]
    desk.plan({*first, too_much} - {room})
    assert apply(desk.settings()).is_settled
    assert desk.stored() == {*first, too_much} - {room}


@spec_alone
def test_a_key_that_is_withdrawn_ends_the_run(desk) -> None:
    pull(desk.settings())
    desk.plan(desk.versions[:3])
    desk.emulator.order_faults(f"401 path={TOGGLE} nth=2-")
    since = desk.mark()
    with pytest.raises(CivitaiEtlError, match="401"):
        apply(desk.settings())
    assert sum(desk.sent(since).values()) == 2


@spec_alone
def test_what_cannot_be_read_is_named_with_the_command_that_makes_it_anew(desk) -> None:
    pull(desk.settings())
    desk.plan(desk.versions[:1])
    path = desk.settings().directory.account / "plan.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(VaultError, match=f"^{path} cannot be read .Is a directory.: move it away"):
        apply(desk.settings())
    stored = desk.settings().directory.account / "account_vault_item.parquet"
    stored.write_bytes(b"no Parquet")
    with pytest.raises(VaultError, match=f"^{stored} is damaged: run `civitai-etl vault pull`"):
        desk.plan(desk.versions[:1])


@spec_alone
def test_a_plan_for_another_service_is_refused(desk) -> None:
    pull(desk.settings())
    desk.plan(desk.versions[:1])
    path = desk.settings().directory.account / "plan.json"
    path.write_text(path.read_text().replace('"user_id": 12345', '"user_id": 54321'))
    with pytest.raises(VaultError, match="for member 54321"):
        apply(desk.settings())
    assert not desk.sent()


@live_alone
def test_a_confirmed_toggle_is_not_repeated_under_the_same_plan_whatever_the_vault_says(desk) -> None:
    (wanted,) = desk.versions[:1]
    pull(desk.settings())
    first = desk.plan([wanted])
    assert apply(desk.settings()).is_settled
    # Somebody takes it out again: by hand, or a lagging replica says so.
    desk.hold([])
    since = desk.mark()
    (outcome,) = apply(desk.settings()).outcomes
    assert (outcome.result, desk.sent(since)) == ("unconfirmed", Counter())
    assert desk.plan([wanted]).id != first.id
    assert apply(desk.settings()).is_settled


@spec_alone
def test_a_journal_that_ends_in_half_a_line_goes_on_and_a_strange_one_stops(desk) -> None:
    wanted = desk.versions[:2]
    pull(desk.settings())
    desk.plan(wanted)
    journal = desk.settings().directory.account / "journal.ndjson"
    journal.write_bytes(b'{"at":"2026-01-01T00:00:00Z","plan":"a","vers')
    assert apply(desk.settings()).is_settled
    assert all(json.loads(line)["event"] in {"sent", "confirmed"} for line in journal.read_text().splitlines())
    journal.write_text("nonsense\n")
    with pytest.raises(CivitaiEtlError, match="it is unknown"):
        apply(desk.settings())


def _command(desk, *arguments):
    environment = os.environ | {
        "CIVITAI_ETL_DATA_DIR": str(desk.values["data_dir"]),
        "CIVITAI_ETL_API_URL": desk.values["api_url"],
        "CIVITAI_ETL_DIALECT": desk.values["dialect"],
        "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
        "CIVITAI_ETL_TIMEOUT_SECONDS": "1",
        "CIVITAI_API_KEY": "test-key",
    }
    command = [Path(sys.executable).with_name("civitai-etl"), "vault", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, cwd=desk.values["data_dir"], **pipes)


def _ended(process):
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


@live_alone
def test_the_commands_say_what_they_did_and_end_with_3_where_vault_and_plan_do_not_agree(desk) -> None:
    one = desk.versions[0]
    code, out, err = _ended(_command(desk, "plan", "--sql", "select 1 as version_id"))
    assert (code, out) == (1, "")
    assert re.fullmatch(r"civitai-etl: There is no .*account_me.parquet: run `civitai-etl vault pull` first.\n", err)
    code, out, _ = _ended(_command(desk, "pull"))
    assert code == 0
    assert "account_vault_item 0" in out
    code, out, _ = _ended(_command(desk, "plan", "--sql", f"select unnest([{one}, 999999999]) as version_id"))
    assert code == 0
    assert "add 2, remove 0, 0 are there already" in out
    since = desk.mark()
    code, out, _ = _ended(_command(desk, "apply"))
    assert (code, "2 versions would be toggled" in out, desk.sent(since)) == (0, True, Counter())
    code, out, _ = _ended(_command(desk, "apply", "--yes"))
    assert code == 3
    assert "1 done, 1 refused: VAULT AND PLAN DO NOT AGREE." in out
    assert desk.stored() == {one}


def test_killed_anywhere_it_goes_on_and_toggles_nothing_twice(desk) -> None:
    dice = random.Random(5)
    before, wanted = desk.versions[:4], desk.versions[2:12]
    desk.hold(before)
    desk.plan(wanted)
    since = desk.mark()
    # Slow answers hold the process between the toggle and what it learns of it.
    desk.emulator.order_faults(f"slow=0.3 path={TOGGLE}")
    for kill in range(2):
        process = _command(desk, "apply", "--yes")
        deadline = time.monotonic() + 60
        while sum(desk.sent(since).values()) <= 2 * kill and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = _command(desk, "apply", "--yes")
    code, _, said = _ended(process)
    assert code == 0, said
    assert desk.stored() == set(wanted)
    assert sum(desk.sent(since).values()) == 10  # two out, eight in
    if desk.settings().dialect == "live":
        assert set(desk.sent(since).values()) == {1}


@live_alone
def test_the_key_appears_nowhere(desk, capfd) -> None:
    key = "sentinel-key-of-the-vault"
    with launch(models=40, dialect=desk.settings().dialect, key=key) as emulator:
        values = {"CIVITAI_API_KEY": key, "api_url": emulator.api_url}
        settings = desk.settings(**values)
        pull(settings)
        desk.plan([*desk.versions[:2], 999_999_999], **values)
        emulator.order_faults(f"500 path={TOGGLE} nth=1; reset path={TOGGLE} nth=2")
        said = "\n".join(applied_lines(apply(settings)))
        emulator.order_faults("401")
        with pytest.raises(MemberError) as error:
            pull(settings)
    captured = capfd.readouterr()
    assert key not in said + str(error.value) + captured.out + captured.err
    for path in settings.data_dir.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path


@spec_alone
@pytest.mark.parametrize("how", ["cut", "slow", "killed"])
def test_a_toggle_that_takes_effect_late_is_not_undone(how, star, tmp_path) -> None:
    """A service that puts the version in a second after it broke the connection, or after the client gave it up, or
    after the process was killed.
    """
    _, _, analytics, _ = star
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "analytics.duckdb").symlink_to(analytics)
    vault: set[int] = set()
    sent: list[int] = []

    def toggle(body):
        version_id = body["modelVersionId"]
        sent.append(version_id)
        threading.Timer(1.5, lambda: vault.symmetric_difference_update({version_id})).start()
        if how == "slow":
            time.sleep(2.5)
        return Reply(b"{", promised=100)

    with running_service() as service:
        service.routes |= {
            "/me": lambda _: Reply({"id": 1, "tier": "Gold"}),
            "/vault/check-vault": lambda _: Reply({"subscribed": True, "storageUsedKb": 0, "storageLimitKb": 9}),
            "/vault/all": lambda _: Reply([{"id": one, "modelVersionId": one} for one in sorted(vault)]),
            "/permissions/check": lambda query: Reply({"entityId": int(query["entityId"]), "canView": True}),
        }
        service.posts[TOGGLE] = toggle
        settings = Settings(
            api_url=service.api_url,
            data_dir=tmp_path / "data",
            dialect="spec",
            requests_per_second=0,
            timeout_seconds=1,
            CIVITAI_API_KEY="a-key",
        )
        pull(settings)
        made = plan(settings, "select 7 as version_id")
        if how == "killed":
            # What a process leaves that is killed right after it sent the toggle.
            toggle({"modelVersionId": 7})
            entry = {"at": datetime.now(UTC).isoformat(), "plan": made.id, "version_id": 7}
            (settings.directory.account / "journal.ndjson").write_text(
                json.dumps(entry | {"stored": True, "event": "sent"}) + "\n"
            )
        assert apply(settings).is_settled
    assert (sent, vault) == ([7], {7})
