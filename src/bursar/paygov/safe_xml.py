"""Parses untrusted XML safely: no DTDs, no entities, bounded size, depth and count; every text stays text.

Both sides use it: the client for replies, the simulator for requests. The tree holds local names, text, children and
attributes only. Prefixes, namespaces, comments and processing instructions are dropped: each SOAP server chooses its
prefixes.

The parser is expat. It refuses a document type declaration where it begins, so there are no entities to expand or to
fetch. defusedxml does the same at twice the cost, and every payment parses two replies. The tests compare the verdicts
of both.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.parsers import expat

DOCUMENT_BYTES_MAX = 256 * 1024
DEPTH_MAX = 32
ELEMENTS_MAX = 10_000

_XML_SPACE = " \t\r\n"
_DECLARED = re.compile(rb"^(?:\xef\xbb\xbf|\xfe\xff|\xff\xfe|<\?xml\s)")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]+)", re.IGNORECASE)


class XmlRefused(ValueError):
    """Not well-formed XML, or XML that is refused. The message gives the reason."""


class Element(NamedTuple):
    """One element: its local name, its text (stripped of XML white space), its children in order, its attributes."""

    name: str
    text: str
    children: list["Element"]
    attributes: dict[str, str]

    def named(self, name: str) -> Iterator["Element"]:
        """Return the children with that local name, in order."""
        return (child for child in self.children if child.name == name)

    def only(self, name: str) -> "Element | None":
        """Return the one child with that local name; None if there is none or more than one."""
        found = [child for child in self.children if child.name == name]
        return found[0] if len(found) == 1 else None


def parse_xml(body: bytes, content_type: str = "") -> Element:
    """Return the root element of ``body``.

    The encoding comes from the byte order mark, else from the XML declaration, else from the charset of
    ``content_type``; else it is UTF-8.

    Raises:
        XmlRefused: not well-formed, a DTD or an entity, an unknown encoding, or beyond a bound above.
    """
    if len(body) > DOCUMENT_BYTES_MAX:
        raise XmlRefused(f"the document: must have at most {DOCUMENT_BYTES_MAX} bytes; got {len(body)}")
    charset = None
    if not _DECLARED.match(body) and (named := _CHARSET.search(content_type)):
        charset = named[1]
    tree = _Tree()
    try:
        parser = expat.ParserCreate(charset, "}")
        parser.StartDoctypeDeclHandler = _refuse_dtd
        parser.StartElementHandler = tree.start
        parser.EndElementHandler = tree.end
        parser.CharacterDataHandler = tree.text
        parser.buffer_text = True
        parser.Parse(body, True)
    except XmlRefused:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:
        # LookupError and ValueError: an encoding that is unknown or that expat does not support.
        raise XmlRefused(f"not well-formed XML: {error}") from None
    return tree.children[0][0]


class _Tree:
    """Receives the parser's callbacks, and stops the parser as soon as a bound is exceeded.

    An element is made at its end. ``children`` holds the finished children of the document and of each open element,
    ``pieces`` the pieces of each open element's text, and ``attributes`` the attributes of each open element.
    """

    __slots__ = ("attributes", "children", "elements", "pieces")

    def __init__(self) -> None:
        self.children: list[list[Element]] = [[]]
        self.pieces: list[list[str]] = []
        self.attributes: list[dict[str, str]] = []
        self.elements = 0

    def start(self, _tag: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        if self.elements > ELEMENTS_MAX:
            raise XmlRefused(f"more than {ELEMENTS_MAX} elements")
        if len(self.pieces) == DEPTH_MAX:
            raise XmlRefused(f"elements nested more than {DEPTH_MAX} deep")
        self.children.append([])
        self.pieces.append([])
        self.attributes.append(attributes)

    def end(self, tag: str) -> None:
        text = "".join(self.pieces.pop()).strip(_XML_SPACE)
        children = self.children.pop()
        self.children[-1].append(Element(tag.rpartition("}")[2], text, children, self.attributes.pop()))

    def text(self, text: str) -> None:
        self.pieces[-1].append(text)


def _refuse_dtd(*_declared: object) -> None:
    raise XmlRefused("the document: must not have a DTD, which can declare entities")
