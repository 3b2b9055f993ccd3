"""A service may do without the small network about turned faces, as commands may."""

from __future__ import annotations

import pytest

from probefusion.errors import ConfigError
from probefusion.service.settings import ServiceSettings

pytest.importorskip("fastapi")


@pytest.mark.assets
@pytest.mark.parametrize("knows_stance", [True, False])
def test_the_detector_of_a_service_is_as_it_is_told(assets, tmp_path, knows_stance) -> None:
    from probefusion.service.hub import Hub

    settings = ServiceSettings(
        gallery=str(tmp_path / "people.db"),
        detector=str(assets / "models" / "yunet_320.onnx"),
        knows_stance=knows_stance,
        num_threads=1,
    )
    hub = Hub(settings)
    try:
        assert hub._pipeline.detector.fingerprint.endswith("/stance@none") is not knows_stance
    finally:
        hub.close()


def test_it_is_refused_where_no_faces_are_looked_for(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"--no-stance .*has no effect on crops"):
        ServiceSettings(gallery=str(tmp_path / "people.db"), knows_stance=False)
