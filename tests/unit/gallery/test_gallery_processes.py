from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gallery_writers
import pytest
from gallery_writers import NUM_PEOPLE, PEOPLE

from gallery_people import stored_bits
from probefusion.gallery import Gallery
from probefusion.gallery.audit.trail_check import verify_chain
from probefusion.gallery.keys.master_key import MasterKey, write_master_key

WRITERS = 8


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_eight_processes_leave_what_one_would_bit_for_bit(tmp_path, is_encrypted):
    key = tmp_path / "master.key"
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    master = None
    if is_encrypted:
        master = write_master_key(key)
        environment["PROBEFUSION_MASTER_KEY"] = master.secret.hex()
    paths = [tmp_path / "many.db", tmp_path / "one.db"]
    for path in paths:
        with Gallery(path, fuser="mean", keys=master) as gallery:
            for who in range(NUM_PEOPLE):
                gallery.enroll(f"p{who}", PEOPLE.images(who, 0))
    writers = [
        subprocess.Popen(
            [
                sys.executable,
                str(Path(gallery_writers.__file__)),
                str(paths[0]),
                str(number),
                str(WRITERS),
            ],
            env=environment,
        )
        for number in range(WRITERS)
    ]
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    with Gallery(paths[1], keys=master) as gallery:
        for number in range(WRITERS):
            gallery_writers.write(gallery, number, WRITERS)
        expected = stored_bits(gallery)
    with Gallery(paths[0], keys=master) as gallery:
        assert stored_bits(gallery) == expected
        assert gallery.check() == ()
        assert (
            gallery.revision == NUM_PEOPLE + NUM_PEOPLE * gallery_writers.NUM_VISITS + 2 * WRITERS
        )
        revisions = [change.revision for change in gallery.history()]
        assert revisions == list(range(gallery.revision, 0, -1))
        with gallery.store.reading("people") as reader:
            report = verify_chain(
                reader.audit(), collection="people", key=gallery._sealer.audit_key()
            )
        assert report.is_whole
        assert all(count == 3 * (gallery_writers.NUM_VISITS + 1) for count, _ in expected.values())


def test_a_master_key_is_made_once(tmp_path):
    master = MasterKey.generate()
    with (
        Gallery(tmp_path / "a.db", fuser="mean", keys=master) as one,
        Gallery(tmp_path / "a.db", "other", fuser="mean", keys=master) as two,
    ):
        one.enroll("ann", PEOPLE.images(0, 0))
        two.enroll("bob", PEOPLE.images(1, 0))
        assert one._keys is not None
        assert one._keys.count() == {"kept": 4, "destroyed": 0}
