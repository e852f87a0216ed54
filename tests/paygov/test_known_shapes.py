"""Documents of a known shape: read without the parser, and always as the parser would have read them."""

from hypothesis import given
from hypothesis import strategies as st

from bursar.paygov.known_shapes import DOCUMENT_BYTES_MAX, SHAPES_KEPT_MAX, KnownShapes
from bursar.paygov.safe_xml import Element, XmlRefused, parse_xml

TYPE = "text/xml; charset=utf-8"
REPLY = '<?xml version="1.0" encoding="UTF-8"?><n:a xmlns:n="urn:x"><b><c>{}</c><d/><e>{}</e></b>\n<f>same\n</f></n:a>'


def texts(element: Element) -> object:
    """``element`` as plain lists, to be compared."""
    return [element.name, element.text, [texts(child) for child in element.children]]


class Parser:
    """The parser, counting."""

    def __init__(self) -> None:
        self.parsed: list[bytes] = []

    def __call__(self, body: bytes, content_type: str) -> Element:
        self.parsed.append(body)
        return parse_xml(body, content_type)


def outcome(document: bytes, read: object) -> object:
    """What ``read`` makes of ``document``, or why it refuses it."""
    try:
        return texts(read(document, TYPE))  # type: ignore[operator]  # either of two of one form
    except XmlRefused as refused:
        return str(refused)


def test_a_second_document_of_a_shape_is_not_parsed() -> None:
    parser = Parser()
    shapes = KnownShapes(parser)
    shapes.document(REPLY.format("1", "x").encode(), TYPE)
    parser.parsed.clear()
    second = REPLY.format("588234832626439493e92", " A  B ").encode()
    inner = [["c", "588234832626439493e92", []], ["d", "", []], ["e", "A  B", []]]
    expected = ["a", "", [["b", "", inner], ["f", "same", []]]]
    assert texts(shapes.document(second, TYPE)) == expected == texts(parse_xml(second, TYPE))
    assert parser.parsed == []


def test_trees_of_one_shape_share_nothing() -> None:
    shapes = KnownShapes(parse_xml)
    trees = [shapes.document(REPLY.format(number, "x").encode(), TYPE) for number in range(3)]
    trees[1].children.clear()
    assert len(trees[2].children) == 2
    assert texts(shapes.document(REPLY.format(9, "x").encode(), TYPE)) != texts(trees[2])


def test_what_is_not_plain_is_parsed_each_time() -> None:
    for document in (
        "<a><!-- <b>{}</b> --><b>1</b></a>",
        "<a><![CDATA[<b>{}</b>]]></a>",
        "<?x >{}</ ?><a>1</a>",
        "<a><?x >{}</ ?></a>",
        "<a>&lt;<b>{}</b></a>",
        "<a>~0~<b>{}</b></a>",
        "<a>y<c/>{}</a>",
        "<a>ü<b>{}</b></a>",
        f"<a>{' ' * DOCUMENT_BYTES_MAX}<b>{{}}</b></a>",
    ):
        parser = Parser()
        shapes = KnownShapes(parser)
        for text in "123":
            body = document.format(text).encode()
            assert texts(shapes.document(body, TYPE)) == texts(parse_xml(body, TYPE))
            assert body in parser.parsed


def test_the_encoding_is_a_part_of_the_shape() -> None:
    shapes, body = KnownShapes(parse_xml), b"<a>1</a>"
    assert shapes.document(body, "text/xml; charset=utf-8").text == "1"
    assert outcome(body, lambda document, _: shapes.document(document, "text/xml; charset=klingon")) == outcome(
        body, lambda document, _: parse_xml(document, "text/xml; charset=klingon")
    )
    parser = Parser()
    shapes = KnownShapes(parser)
    for _ in range(3):
        shapes.document(b"<?xml version='1.0' encoding='windows-1252'?><a>1</a>", "")
    assert len(parser.parsed) == 3


def test_shapes_are_kept_up_to_a_bound() -> None:
    parser = Parser()
    shapes = KnownShapes(parser)
    for number in range(SHAPES_KEPT_MAX + 1):
        shapes.document(b"<a%d>1</a%d>" % (number, number), TYPE)
    parser.parsed.clear()
    shapes.document(b"<a%d>2</a%d>" % (SHAPES_KEPT_MAX, SHAPES_KEPT_MAX), TYPE)
    assert parser.parsed == []
    shapes.document(b"<a0>2</a0>", TYPE)
    assert parser.parsed


PIECES = [
    *("<a>", "</a>", "<b>", "</b>", "<b/>", "<a:b>", "<a xmlns='u'>", "<a b='>", "'>", "<!DOCTYPE a>", "<![CDATA["),
    *("]]>", "]]", "<!--", "-->", "<?x ", "?>", "&amp;", "&x;", "text", "~0~", "~1~", "\0", " ", "\n", ">", "</"),
    *("<?xml version='1.0'?>", "<?xml version='1.0' encoding='windows-1252'?>", "ü"),
]
BLANK = object()
CONTENT = st.text(st.characters(codec="ascii"), max_size=4) | st.sampled_from(["", "]]", "~1~", " x ", "&amp;", "?"])


@given(
    st.lists(st.sampled_from([*PIECES, BLANK, BLANK, BLANK]), max_size=12),
    st.lists(st.lists(CONTENT, min_size=12, max_size=12), min_size=2, max_size=4),
    st.booleans(),
)
def test_any_documents_of_one_outline_are_read_as_the_parser_does(
    pieces: list[object], filled: list[list[str]], rooted: bool
) -> None:
    shapes = KnownShapes(parse_xml)
    for blanks in filled:
        told = zip(pieces, blanks, strict=False)
        document = "".join([blank if piece is BLANK else str(piece) for piece, blank in told])
        body = (f"<r>{document}</r>" if rooted else document).encode()
        assert outcome(body, shapes.document) == outcome(body, parse_xml)


@given(st.recursive(st.just("{}"), lambda inner: st.lists(inner, max_size=3).map(lambda all: f"<a>{''.join(all)}</a>")))
def test_any_nesting_is_read_as_the_parser_does(nested: str) -> None:
    shapes = KnownShapes(parse_xml)
    for texts_ in (["1"] * 50, ["two "] * 50, [""] * 50, [str(number) for number in range(50)]):
        body = f"<r><b>{nested.format(*texts_)}</b></r>".encode() if nested.count("{}") <= 50 else b"<r/>"
        assert outcome(body, shapes.document) == outcome(body, parse_xml)
