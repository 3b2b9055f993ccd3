from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from probefusion.embedders import OnnxEmbedder
from probefusion.embedders import side_by_side as rules
from probefusion.embedders.side_by_side import SideBySide
from probefusion.errors import ConfigError

pytest.importorskip("onnx")


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (21, 6, 6, 3), dtype=np.uint8)


def recorded(network, images, **settings):
    """The batches, the sessions they ran in, and the first pixel of each image in order."""
    runs = []

    def run(session, batch):
        runs.append((session, len(batch)))
        return batch[:, 0, 0, 0]

    found = network.map(run, images, **settings)
    return runs, np.concatenate(found) if found else np.zeros(0)


def test_many_images_run_in_small_equal_batches_of_a_single_threaded_session(network, images):
    parallel = SideBySide(network(), num_threads=2)
    runs, found = recorded(parallel, images, batch_size=32)
    assert np.array_equal(found, images[:, 0, 0, 0])
    assert sorted(count for _, count in runs) == [3, 6, 6, 6]
    sessions = {id(session) for session, _ in runs}
    assert len(sessions) == 1
    assert runs[0][0] is not parallel.session
    assert runs[0][0].get_session_options().intra_op_num_threads == 1
    assert parallel.session.get_session_options().intra_op_num_threads == 2


def test_few_images_are_shared_among_the_threads(network, images):
    parallel = SideBySide(network(), num_threads=4)
    runs, found = recorded(parallel, images[:6], batch_size=32)
    assert [count for _, count in runs] == [2, 2, 2]
    assert runs[0][0] is not parallel.session
    assert np.array_equal(found, images[:6, 0, 0, 0])


@pytest.mark.parametrize(("threads", "count"), [(1, 21), (2, 1), (8, 4)])
def test_one_thread_or_too_few_images_use_the_first_session(network, images, threads, count):
    single = SideBySide(network(), num_threads=threads)
    runs, _ = recorded(single, images[:count], batch_size=32)
    assert runs == [(single.session, count)]


def test_large_networks_are_not_kept_twice(network, images, monkeypatch):
    monkeypatch.setattr(rules, "_MAX_BYTES", 100)
    large = SideBySide(network(), num_threads=2)
    runs, _ = recorded(large, images, batch_size=16)
    assert runs == [(large.session, 16), (large.session, 5)]


def test_whole_batches_stay_whole(network, images):
    parallel = SideBySide(network(), num_threads=2)
    runs, _ = recorded(parallel, images, batch_size=20, may_shrink=False)
    assert sorted(count for _, count in runs) == [1, 20]
    assert runs[0][0] is not parallel.session
    runs, _ = recorded(parallel, images, batch_size=32, may_shrink=False)
    assert runs == [(parallel.session, 21)]


def test_threads_are_checked(network):
    with pytest.raises(ConfigError, match="num_threads"):
        SideBySide(network(), num_threads=0)


def test_no_images_give_no_parts(network, images):
    assert recorded(SideBySide(network(), num_threads=2), images[:0], batch_size=4)[0] == []


def test_the_second_session_is_started_once_by_threads_that_come_together(
    network, images, monkeypatch
):
    started, original = [], rules.start_session
    gate = threading.Barrier(8)

    def counted(*positional, **settings):
        started.append(settings["num_threads"])
        if settings["num_threads"] == 1:
            time.sleep(0.05)  # long enough for the others to come
        return original(*positional, **settings)

    def call(network):
        gate.wait()
        recorded(network, images, batch_size=4)

    monkeypatch.setattr(rules, "start_session", counted)
    parallel = SideBySide(network(), num_threads=2)
    callers = [threading.Thread(target=call, args=(parallel,)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert started == [2, 1]


def test_an_embedder_gives_the_same_with_any_number_of_threads(save_network, rng):
    path, spec = save_network()
    crops = rng.integers(0, 256, (37, spec.input_size, spec.input_size, 3), dtype=np.uint8)
    expected, expected_style = OnnxEmbedder(path, spec, num_threads=1).embed(crops)
    for threads in (2, 3):
        found, style = OnnxEmbedder(path, spec, num_threads=threads).embed(crops)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        np.testing.assert_allclose(style, expected_style, rtol=0, atol=1e-5 * np.abs(style).max())
