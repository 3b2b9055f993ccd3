"""Several searches by one product: each answers as it would alone."""

from __future__ import annotations

import numpy as np
import pytest

from gallery_people import MadeUp
from probefusion.errors import ConfigError, EmbedderMismatchError, ProbeFusionError
from probefusion.gallery import Gallery
from probefusion.gallery.verbs.search_query import SearchQuery

PEOPLE = MadeUp()


@pytest.mark.parametrize("kernel", ["float32", "int8"])
def test_searches_made_together_answer_as_alone(tmp_path, kernel):
    if kernel == "int8":
        pytest.importorskip("numkong")
    with Gallery(tmp_path / "people.db", fuser="mean", kernel=kernel) as gallery:
        for who in range(12):
            gallery.enroll(f"p{who:02}", PEOPLE.images(who, 0))
        queries = [
            SearchQuery(what=PEOPLE.images(who % 12, 1 + who, count=1 + who % 3), top_k=1 + who % 4)
            for who in range(15)
        ]
        queries += [
            SearchQuery(what=PEOPLE.images(3, 5), threshold=0.5),
            SearchQuery(what=PEOPLE.images(3, 5), fpir=0.1),
            SearchQuery(what=gallery.template("p04"), top_k=3),
        ]
        together = gallery.search_together(queries)
        for query, answer in zip(queries, together, strict=True):
            assert answer == gallery.search(**vars(query))
        assert len({answer.candidates[0].name for answer in together}) == 12


def test_an_error_belongs_to_its_search(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        good = SearchQuery(what=PEOPLE.images(1, 3))
        (empty,) = gallery.search_together([good])
        assert empty.why_none == "nobody is enrolled"
        gallery.enroll("ann", PEOPLE.images(1, 0))
        short = SearchQuery(what=np.ones((2, 5), np.float32))
        both = SearchQuery(what=PEOPLE.images(1, 3), fmr=0.1, threshold=0.5)
        first, second, third, fourth = gallery.search_together([good, short, both, good])
        assert first == fourth == gallery.search(good.what)
        assert isinstance(second, EmbedderMismatchError)
        assert isinstance(third, ConfigError)
        for query, error in ((short, second), (both, third)):
            with pytest.raises(ProbeFusionError) as raised:
                gallery.search(**vars(query))
            assert (type(raised.value), str(raised.value)) == (type(error), str(error))
        assert gallery.search_together([]) == ()
