"""Untrusted XML: which documents are read, and which are refused."""

import contextlib
from typing import Any

import defusedxml.ElementTree
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.paygov.safe_xml import DEPTH_MAX, DOCUMENT_BYTES_MAX, ELEMENTS_MAX, Element, XmlRefused, parse_xml


def texts(element: Element) -> object:
    """Return ``element`` as lists that can be compared."""
    return [element.tag, element.text, [texts(child) for child in element]]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("<a>588234832626439493e92</a>", "588234832626439493e92"),
        ("<a>0060</a>", "0060"),
        ("<a> \n\t 60.00 \r\n</a>", "60.00"),
        ("<a>A  B</a>", "A  B"),
        ("<a>&#160;</a>", "\u00a0"),
        ("<a><![CDATA[ <b>&amp; ]]></a>", "<b>&amp;"),
        ("<a>x<!-- y -->z</a>", "xz"),
        ("<a>x<?y z?></a>", "x"),
        ("<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;</a>", "<>&\"'AB"),
        ("<a/>", ""),
        ("<?xml version='1.0'?><a>ü</a>", "ü"),
    ],
)
def test_text_stays_text(document: str, text: str) -> None:
    assert texts(parse_xml(document.encode())) == ["a", text, []]


@pytest.mark.parametrize(
    "document",
    [
        "<n:a xmlns:n='urn:x'><n:b>1</n:b></n:a>",
        "<a xmlns='urn:x'><b xmlns='urn:y'>1</b></a>",
        "<a><b attribute='2'>1</b></a>",
        "\n\n<a>\n<b>1</b>\n</a>\n",
    ],
)
def test_prefixes_namespaces_attributes_and_white_space_do_not_matter(document: str) -> None:
    assert texts(parse_xml(document.encode())) == ["a", "", [["b", "1", []]]]


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        ("<a>ü</a>".encode(), ""),
        (b"\xef\xbb\xbf" + "<a>ü</a>".encode(), "text/xml; charset=iso-8859-1"),
        ("<?xml version='1.0' encoding='utf-8'?><a>ü</a>".encode(), "text/xml; charset=iso-8859-1"),
        ("<?xml version='1.0' encoding='iso-8859-1'?><a>ü</a>".encode("latin-1"), ""),
        ("<a>ü</a>".encode("latin-1"), 'text/xml; charset="ISO-8859-1"'),
        ("<?xml version='1.0' encoding='utf-16'?><a>ü</a>".encode("utf-16"), ""),
        ("<?xml version='1.0' encoding='windows-1252'?><a>ü</a>".encode("cp1252"), ""),
    ],
)
def test_encodings(document: bytes, content_type: str) -> None:
    assert parse_xml(document, content_type).text == "ü"


@pytest.mark.parametrize(
    ("what", "document"),
    [
        ("DTD", b"<!DOCTYPE a><a/>"),
        ("DTD", b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>"),
        ("DTD", b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>"),
        ("DTD", b"<!DOCTYPE a [<!ENTITY x SYSTEM 'http://127.0.0.1:1/'>]><a>&x;</a>"),
        ("DTD", b"<!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;&x;&x;'>]><a>&y;</a>"),
        ("DTD", b"<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://127.0.0.1:1/'>%x;]><a/>"),
        ("well-formed", b"<a>&undefined;</a>"),
        ("well-formed", b""),
        ("well-formed", b"   "),
        ("well-formed", b"<a>"),
        ("well-formed", b"<a></b>"),
        ("well-formed", b"<a/><a/>"),
        ("well-formed", b"<a>\x00</a>"),
        ("well-formed", b"<a>\xff\xfe</a>"),
        ("well-formed", b"<a>&#0;</a>"),
        ("well-formed", b"<a x='1' x='2'/>"),
        ("well-formed", b"<n:a/>"),
        ("well-formed", b"<?xml version='1.0' encoding='klingon'?><a/>"),
        ("well-formed", b"<?xml version='1.0' encoding='utf-7'?><a/>"),
        ("well-formed", b'{"json": true}'),
        ("deep", b"<a>" * (DEPTH_MAX + 1) + b"</a>" * (DEPTH_MAX + 1)),
        ("deep", b"<a>" * 30_000 + b"</a>" * 30_000),
        ("elements", b"<a>" + b"<b/>" * ELEMENTS_MAX + b"</a>"),
        ("bytes", b"<a>" + b" " * DOCUMENT_BYTES_MAX + b"</a>"),
    ],
)
def test_hostile_documents_are_refused(what: str, document: bytes) -> None:
    with pytest.raises(XmlRefused, match=what):
        parse_xml(document)


def test_the_bounds_themselves_are_allowed() -> None:
    parse_xml(b"<a>" * DEPTH_MAX + b"</a>" * DEPTH_MAX)
    parse_xml(b"<a>" + b"<b/>" * (ELEMENTS_MAX - 1) + b"</a>")


def test_an_unknown_charset_in_the_header_is_refused() -> None:
    with pytest.raises(XmlRefused):
        parse_xml(b"<a/>", "text/xml; charset=klingon")


@given(st.binary(max_size=200), st.text(max_size=30))
def test_any_bytes_parse_or_are_refused(document: bytes, content_type: str) -> None:
    with contextlib.suppress(XmlRefused):
        assert parse_xml(document, content_type).tag


PIECES = [
    *("<a>", "</a>", "<b/>", "<a:b>", "<a xmlns='u'>", "<!DOCTYPE a>", "<![CDATA[", "]]>", "<!--", "-->"),
    *("&amp;", "&x;", "text", "\0", "<?xml version='1.0'?>", "<?xml version='1.0' encoding='x'?>", " ", "\ufffe"),
]


def defused(document: bytes) -> object:
    """Return ``document`` as defusedxml reads it, in the form of :func:`texts`; None if defusedxml refuses it."""

    def plain(element: Any) -> object:
        text = (element.text or "").strip(" \t\r\n")
        return [element.tag.rpartition("}")[2], text, [plain(child) for child in element]]

    try:
        return plain(defusedxml.ElementTree.fromstring(document, forbid_dtd=True))
    except (defusedxml.ElementTree.ParseError, ValueError, LookupError):
        return None


def ours(document: bytes) -> object:
    try:
        return texts(parse_xml(document))
    except XmlRefused:
        return None


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_markup_is_read_or_refused_as_defusedxml_does(document: str) -> None:
    assert ours(document.encode()) == defused(document.encode())


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_as_defusedxml_does(document: bytes) -> None:
    assert ours(b"<a>" + document + b"</a>") == defused(b"<a>" + document + b"</a>")
