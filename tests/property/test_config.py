from hypothesis import given
from hypothesis import strategies as st

from meshd.config.loader import parse
from meshd.config.locate import lines
from meshd.config.values import NodeConfig
from meshd.core.errors import ConfigError

WORDS = st.sampled_from(
    [
        *(
            "name",
            "peers",
            "listen",
            "[mqtt]",
            "[[interface]]",
            "[relay]",
            "url",
            "kind",
            "=",
            "\n",
        ),
        *("'tcp://a'", '"mqtt://b"', "[", "]", "{", "}", "1", "true", "'''", '"""', "#", ".", ","),
    ]
)


@given(st.one_of(st.text(), st.lists(WORDS).map(" ".join)))
def test_any_text_is_a_config_or_a_config_error(text):
    lines(text)
    try:
        assert isinstance(parse(text, "f"), NodeConfig)
    except ConfigError as error:
        assert all(line.startswith("f:") for line in error.text.splitlines()[:1])
