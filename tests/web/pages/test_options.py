import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.web.pages.options import FITS, MAX_LABEL, EmbedOptions, parse_embed_options


def test_options_unset_then_defaults():
    assert parse_embed_options({}) == EmbedOptions(controls=True, muted=True, fit="contain", label="")


@pytest.mark.parametrize(
    ("text", "shown"), [("0", False), ("false", False), ("NO", False), ("1", True), ("maybe", True)]
)
def test_controls_when_written_as_people_write_it_then_understood(text, shown):
    assert parse_embed_options({"controls": text}).controls is shown


def test_label_when_too_long_then_cut_with_an_ellipsis():
    label = parse_embed_options({"label": "x" * 200}).label
    assert len(label) == MAX_LABEL
    assert label.endswith("…")


@given(st.dictionaries(st.sampled_from(["controls", "muted", "fit", "label"]), st.text()))
def test_options_of_any_query_are_usable(query):
    options = parse_embed_options(query)
    assert options.fit in FITS
    assert len(options.label) <= MAX_LABEL
    assert options.label.isprintable()
