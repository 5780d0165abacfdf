"""A manifest in a root file system: idempotent, reversible, and whole wherever the stream is cut."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bundles import bundles_cli
from edge.storage.file_lock import lock_folder, taken
from tools.flash import place_files
from tools.flash.device_manifest import DeviceEntry, DeviceManifest, folder, link, text_file
from tools.flash.place_files import RECORD, PlaceError, difference, differences, place, take_away

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners are root's to set")


def manifest(*more: DeviceEntry, text: str = "one\n") -> DeviceManifest:
    entries = (
        folder("/etc/edge"),
        text_file("/etc/edge/a", text, "made"),
        text_file("/etc/edge/b", text, "made", "0440"),
        text_file("/usr/bin/tool", "#!/bin/sh\n", "made", "0755"),
        link("/etc/systemd/default.target", "/lib/multi", "made"),
    )
    return DeviceManifest({"line": "line1"}, (*entries, *more))


def put(what: DeviceManifest, root: Path) -> list[str]:
    with what.whole_stream() as stream:
        return place(stream, root)


def tree(root: Path) -> dict[str, tuple[str, str]]:
    """Every path with its mode and content, the record aside."""
    found = {}
    for one in sorted(root.rglob("*")):
        mode = oct(stat.S_IMODE(one.lstat().st_mode))
        content = os.readlink(one) if one.is_symlink() else one.read_text() if one.is_file() else "/"
        found[str(one.relative_to(root))] = (mode, content)
    return found


def test_it_is_placed_once_and_then_there_is_nothing_to_do(tmp_path: Path) -> None:
    changed = put(manifest(), tmp_path)
    assert set(changed) == {"/etc/edge", "/etc/edge/a", "/etc/edge/b", "/usr/bin/tool", "/etc/systemd/default.target"}
    assert (tmp_path / "etc/edge/b").read_text() == "one\n"
    assert oct((tmp_path / "etc/edge/b").stat().st_mode)[-4:] == "0440"
    assert oct((tmp_path / "usr/bin/tool").stat().st_mode)[-4:] == "0755"
    assert os.readlink(tmp_path / "etc/systemd/default.target") == "/lib/multi"
    before = tree(tmp_path)
    assert put(manifest(), tmp_path) == []
    assert tree(tmp_path) == before


def test_what_was_there_comes_back(tmp_path: Path) -> None:
    (tmp_path / "etc/systemd").mkdir(parents=True)
    (tmp_path / "etc/systemd/default.target").symlink_to("nv-oem-config.target")
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/tool").write_text("NVIDIA's")
    (tmp_path / "usr/bin/tool").chmod(0o700)
    before = tree(tmp_path)
    put(manifest(), tmp_path)
    put(manifest(text="two\n"), tmp_path)
    gone, left = take_away(tmp_path)
    assert left == []
    assert len(gone) == 5
    assert tree(tmp_path) == before


def test_what_somebody_changed_is_left_alone(tmp_path: Path) -> None:
    put(manifest(), tmp_path)
    (tmp_path / "etc/edge/a").write_text("a technician's")
    gone, left = take_away(tmp_path)
    assert left == ["/etc/edge/a"]
    assert "/etc/edge/b" in gone
    assert (tmp_path / "etc/edge/a").read_text() == "a technician's"
    with pytest.raises(PlaceError, match="nothing was staged"):
        take_away(tmp_path)


def test_a_file_that_is_the_devices_own_is_placed_once(tmp_path: Path) -> None:
    station = text_file("/etc/edge/line1.yaml", "first\n", "made", once=True)
    put(manifest(station), tmp_path)
    (tmp_path / "etc/edge/line1.yaml").write_text("the technician's\n")
    other = text_file("/etc/edge/line1.yaml", "second\n", "made", once=True)
    assert put(manifest(other), tmp_path) == []
    assert (tmp_path / "etc/edge/line1.yaml").read_text() == "the technician's\n"
    assert take_away(tmp_path)[1] == ["/etc/edge/line1.yaml"]


def test_what_a_new_manifest_no_longer_has_goes(tmp_path: Path) -> None:
    old = text_file("/usr/share/wheelhouse/app-1.whl", "1", "made")
    bundle = text_file("/var/lib/edge-inspect/bundles/x/manifest.yaml", "1", "made")
    put(manifest(old, bundle), tmp_path)
    put(manifest(text_file("/usr/share/wheelhouse/app-2.whl", "2", "made")), tmp_path)
    assert [one.name for one in (tmp_path / "usr/share/wheelhouse").iterdir()] == ["app-2.whl"]
    assert (tmp_path / "var/lib/edge-inspect/bundles/x/manifest.yaml").exists()


@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_stream_that_is_cut_leaves_each_file_old_or_new_and_can_be_sent_again(
    tmp_path_factory: pytest.TempPathFactory, cut: float
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_text("NVIDIA's")
    (root / "etc/systemd").mkdir(parents=True)
    before = tree(root)
    put(manifest(), root)
    whole = manifest(text="two\n" * 2000).whole_stream().read()
    end = whole.rstrip(b"\0")  # what comes after is padding of the tar, which nobody waits for
    try:
        place(io.BytesIO(end[: int(cut * len(end))]), root)
        told = False
    except PlaceError as error:
        told = "again" in str(error) or "no stream" in str(error)
    assert told or not differences(manifest(text="two\n" * 2000).record(), root)  # nothing was missing any more
    for name in ("a", "b"):
        assert (root / "etc/edge" / name).read_text() in ("one\n", "two\n" * 2000)
    assert not list(root.rglob("*.new"))
    place(io.BytesIO(whole), root)
    assert differences(manifest(text="two\n" * 2000).record(), root) == []
    take_away(root)
    assert tree(root) == before


class Sending(io.BytesIO):
    """The stream of ``what``; once its manifest has been read, ``meanwhile`` is done."""

    def __init__(self, what: DeviceManifest, meanwhile: Callable[[], object]) -> None:
        super().__init__(what.whole_stream().read())
        self._meanwhile = [meanwhile]

    def read(self, count: int | None = -1) -> bytes:
        if self.tell() > 8 and self._meanwhile:
            self._meanwhile.pop()()
        return super().read(count)


def test_nobody_else_is_at_work_while_files_are_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another would keep ours as what was there before us; edge-bundle would clear a half-sent bundle away as a third."""
    monkeypatch.setattr(place_files, "PATIENCE_S", 0.0)
    half = tmp_path / "var/lib/edge-inspect/bundles/half"
    half.mkdir(parents=True)
    (half / "manifest.yaml").write_text("")
    done = []

    def meanwhile() -> None:
        with pytest.raises(PlaceError, match="another edge-flash or edge-bundle is at work"):
            put(manifest(text="two\n"), tmp_path)
        with pytest.raises(PlaceError, match="is at work"):
            take_away(tmp_path)
        for command in (["rollback"], ["settle"], ["use", "half"]):
            assert bundles_cli.main(["--root", str(tmp_path), *command]) != 0
            assert "is at work in" in capsys.readouterr().err
        done.append(tree(half))

    place(Sending(manifest(), meanwhile), tmp_path)
    assert len(done) == 1
    assert differences(manifest().record(), tmp_path) == []
    assert put(manifest(), tmp_path) == []
    assert len(take_away(tmp_path)[0]) == 5


def test_one_whose_connection_was_cut_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as other:
        assert taken(other.enter_context(lock_folder(tmp_path)))
        waits = []

        def sleep(seconds: float) -> None:
            assert list(tmp_path.iterdir()) == []
            waits.append(seconds)
            if len(waits) == 3:
                other.close()

        monkeypatch.setattr(place_files.time, "sleep", sleep)
        put(manifest(), tmp_path)
    assert len(waits) == 3
    assert differences(manifest().record(), tmp_path) == []


@pytest.mark.parametrize("path", ["/../x", "/etc/../../x", "/"])
def test_a_path_out_of_the_root_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(PlaceError, match="is no place"):
        put(DeviceManifest({}, (text_file(path, "x", "made"),)), root)


def test_links_of_the_device_lead_within_it(tmp_path: Path) -> None:
    """In a root file system /lib is a link, and one to /usr must not lead to this machine's."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "usr/lib").mkdir(parents=True)
    outside.mkdir()
    (root / "lib").symlink_to("/usr/lib")
    put(DeviceManifest({}, (text_file("/lib/x", "x", "made"),)), root)
    assert (root / "usr/lib/x").read_text() == "x"
    (root / "evil").symlink_to("../outside")
    with pytest.raises(PlaceError, match="leads out of"):
        put(DeviceManifest({}, (text_file("/evil/x", "x", "made"),)), root)
    assert list(outside.iterdir()) == []


def test_content_that_is_not_what_the_manifest_says_is_refused(tmp_path: Path) -> None:
    stream = manifest().whole_stream().read().replace(b"#!/bin/sh", b"#!/bin/xx", 1)
    with pytest.raises(PlaceError, match="/usr/bin/tool came damaged"):
        place(io.BytesIO(stream), tmp_path)
    assert not (tmp_path / "usr/bin/tool").exists()


@as_root
def test_owner_and_mode_are_seen_and_mended(tmp_path: Path) -> None:
    put(manifest(), tmp_path)
    os.chown(tmp_path / "etc/edge/a", 1234, 1234)
    (tmp_path / "etc/edge/b").chmod(0o666)
    found = {entry["path"]: how for entry, how in differences(manifest().record(), tmp_path)}
    assert found == {"/etc/edge/a": "is not root:root's", "/etc/edge/b": "has mode 0666, not 0440"}
    put(manifest(), tmp_path)
    assert differences(manifest().record(), tmp_path) == []


def test_the_record_is_kept_with_the_facts(tmp_path: Path) -> None:
    put(manifest(), tmp_path)
    assert '"line": "line1"' in (tmp_path / RECORD).read_text()
    assert difference(manifest().entries[1].record(), tmp_path) == ""


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"entries": 1}', b'{"entries": ["x"]}'])
def test_a_damaged_record_is_told_and_changes_nothing(tmp_path: Path, content: bytes) -> None:
    put(manifest(), tmp_path)
    (tmp_path / RECORD).write_bytes(content)
    for action in (lambda: put(manifest(text="two\n"), tmp_path), lambda: take_away(tmp_path)):
        with pytest.raises(PlaceError, match="is damaged"):
            action()
    assert (tmp_path / "etc/edge/a").read_text() == "one\n"
