"""XML of a known shape: a document is not parsed again where only the texts of its leaves differ from one that was.

    document ─► cut at its texts ─► outline, texts ─► a known outline? ─┬─ yes ─► its tree, with these texts
                                                                        └─ no ──► parsed, and learned where it is plain

A server's replies to one operation differ in nothing but their texts, and to parse them costs a payment more than
anything else that is done with them. What is given is what the parser would give. A text that is cut out is printable
ASCII without ``<``, ``>`` and ``&``, between the end of a tag and an end tag: no such text can change how what stands
around it is read, as long as its place is content. It is nothing else in an outline that is learned: one with a
comment, CDATA, a DTD or an instruction is not, and in an attribute no ``<`` is well-formed. Which element each text
belongs to the parser says itself, of the outline with marks in the texts' places.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from bursar.paygov.safe_xml import Element, XmlRefused

SHAPES_KEPT_MAX: Final = 64
"""Pay.gov has a handful; when strangers have sent so many, all are forgotten and learned again."""
DOCUMENT_BYTES_MAX: Final = 4096
"""Of a document whose outline is looked for."""

_TEXT: Final = re.compile(r">([ -%'-;=?-~]*)</")
_NOT_PLAIN: Final = re.compile(r"<!|.<\?|&|~", re.DOTALL)
_UTF8: Final = re.compile(r"(?i)utf-8|us-ascii")
_ENCODING: Final = re.compile(r"(?i)(?:charset|encoding)\s*=\s*[\"']?([^\"'\s;?]*)")

_Outline = tuple[str, ...]
"""The content type, which may name the encoding, and what stands between the texts."""


class KnownShapes:
    """Call it as the parser that it was given: ``document(body, content_type)`` raises whatever that one raises."""

    def __init__(self, parse: Callable[[bytes, str], Element]) -> None:
        self._parse = parse
        self._shapes: dict[_Outline, _Shape | None] = {}

    def document(self, body: bytes, content_type: str = "") -> Element:
        """The root element of ``body``, whose encoding ``content_type`` may name."""
        if len(body) > DOCUMENT_BYTES_MAX or not body.isascii():
            return self._parse(body, content_type)
        pieces = _TEXT.split(body.decode("ascii"))
        outline = (content_type, *pieces[::2])
        shape = self._shapes.get(outline)
        if shape is not None:
            return shape.tree(pieces[1::2])
        tree = self._parse(body, content_type)
        if outline not in self._shapes:
            if len(self._shapes) >= SHAPES_KEPT_MAX:
                self._shapes.clear()
            self._shapes[outline] = self._learned(outline)
        return tree

    def _learned(self, outline: _Outline) -> "_Shape | None":
        """The shape of a document that could be parsed; None for one that is not plain."""
        content_type, *pieces = outline
        encodings = _ENCODING.findall(f"{content_type} {pieces[0].partition('?>')[0]}")
        if any(_NOT_PLAIN.search(piece) for piece in pieces) or not all(map(_UTF8.fullmatch, encodings)):
            return None
        marks = [f"~{number}~" for number in range(len(pieces) - 1)]
        marked = "".join([f"{piece}>{mark}</" for piece, mark in zip(pieces, marks, strict=False)]) + pieces[-1]
        try:
            return _Shape.of(self._parse(marked.encode(), content_type), marks)
        except XmlRefused:
            return None


class _Shape:
    """A tree whose texts are numbered: first those that documents differ in, then those that all of them have."""

    __slots__ = ("_elements", "_links", "_same")

    def __init__(self) -> None:
        self._elements: list[tuple[str, int]] = []  # name, number of its text
        self._links: list[tuple[int, int]] = []  # parent, child
        self._same: list[str] = []

    @classmethod
    def of(cls, root: Element, marks: Sequence[str]) -> "_Shape | None":
        """The shape of the tree below ``root``; None where ``marks`` are not each the whole text of one element."""
        shape, numbers = cls(), {mark: number for number, mark in enumerate(marks)}
        waiting = [(-1, root)]
        while waiting:
            parent, element = waiting.pop()
            number = numbers.pop(element.text, None)
            if number is None:
                if "~" in element.text:
                    return None
                number = len(marks) + len(shape._same)
                shape._same.append(element.text)
            place = len(shape._elements)
            shape._elements.append((element.name, number))
            if parent >= 0:
                shape._links.append((parent, place))
            waiting += [(place, child) for child in reversed(element.children)]
        return None if numbers else shape

    def tree(self, texts: Sequence[str]) -> Element:
        """A new tree of this shape."""
        numbered = [*[text.strip(" ") for text in texts], *self._same]
        made = [Element(name, numbered[number]) for name, number in self._elements]
        for parent, child in self._links:
            made[parent].children.append(made[child])
        return made[0]
