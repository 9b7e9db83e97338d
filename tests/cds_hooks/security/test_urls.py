"""URLs in canonical form: what is read, and what is refused because programs read it differently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.security.urls import UrlError, read_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("https://fhir.example/r4", "https://fhir.example/r4", id="plain"),
        pytest.param("https://fhir.example/r4/", "https://fhir.example/r4", id="X-27 slash at the end"),
        pytest.param("https://fhir.example", "https://fhir.example", id="no path"),
        pytest.param("HTTPS://FHIR.Example/R4", "https://fhir.example/R4", id="case of scheme and host"),
        pytest.param("https://fhir.example:443/r4", "https://fhir.example/r4", id="default port"),
        pytest.param("http://127.0.0.1:80", "http://127.0.0.1", id="default port of http"),
        pytest.param("https://fhir.example:8443/r4", "https://fhir.example:8443/r4", id="another port"),
        pytest.param("https://[2001:DB8:0::1]/r4", "https://[2001:db8::1]/r4", id="IPv6"),
        pytest.param(
            "https://xn--klinik-mnchen-zob.example", "https://xn--klinik-mnchen-zob.example", id="IDN in ASCII"
        ),
        pytest.param("https://my_fhir.example/a%20b", "https://my_fhir.example/a%20b", id="underscore, escaped space"),
    ],
)
def test_urls_of_servers_have_one_form(text: str, expected: str) -> None:
    assert str(read_url(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("fhir.example/r4", id="no scheme"),
        pytest.param("file:///etc/passwd", id="X-35 file"),
        pytest.param("ftp://fhir.example/r4", id="X-35 ftp"),
        pytest.param("gopher://fhir.example/r4", id="X-35 gopher"),
        pytest.param("https:fhir.example", id="scheme without slashes"),
        pytest.param("https:///fhir.example", id="no host"),
        pytest.param("https://user@fhir.example/r4", id="user"),
        pytest.param("https://user:word@fhir.example/r4", id="user and password"),
        pytest.param("https://fhir.example@evil.example/r4", id="host as user"),
        pytest.param("https://fhir.example\\@evil.example/r4", id="backslash"),
        pytest.param("https://fhir.example/r4?x=1", id="query"),
        pytest.param("https://fhir.example/r4?", id="empty query"),
        pytest.param("https://fhir.example/r4#x", id="fragment"),
        pytest.param("https://fhir.example./r4", id="dot at the end of the host"),
        pytest.param("https://fhir..example/r4", id="two dots"),
        pytest.param("https://2130706433/", id="decimal 127.0.0.1"),
        pytest.param("https://0177.0.0.1/", id="octal 127.0.0.1"),
        pytest.param("https://0x7f000001/", id="hexadecimal 127.0.0.1"),
        pytest.param("https://0x7f.1/", id="hexadecimal, short"),
        pytest.param("https://127.1/", id="short 127.0.0.1"),
        pytest.param("https://127.0.0.01/", id="leading zero"),
        pytest.param("https://127.0.0.1.2/", id="five numbers"),
        pytest.param("https://fhir.0x/", id="last label 0x"),
        pytest.param("https://①②⑦.⓪.⓪.①/", id="circled digits"),
        pytest.param("https://１２７.0.0.1/", id="full-width digits"),
        pytest.param("https://klinik-münchen.example/", id="name outside ASCII"),
        pytest.param("https://127%2e0.0.1/", id="percent in the host"),
        pytest.param("https://[fe80::1%25eth0]/", id="IPv6 with a zone"),
        pytest.param("https://[::1]evil.example/", id="text behind IPv6"),
        pytest.param("https://[v1.a]/", id="address of the future"),
        pytest.param("https://[127.0.0.1]/", id="IPv4 in brackets"),
        pytest.param("https://[beef]/", id="name in brackets"),
        pytest.param("https://fhir.example/r4\\..\\r5", id="backslashes in the path"),
        pytest.param("https://fhir.example/r4 ", id="space behind"),
        pytest.param("https://::1/", id="IPv6 without brackets"),
        pytest.param("https://[::1/", id="open bracket"),
        pytest.param("https://fhir.example:0/", id="port 0"),
        pytest.param("https://fhir.example:65536/", id="port 65536"),
        pytest.param("https://fhir.example:-1/", id="port -1"),
        pytest.param("https://fhir.example:/", id="empty port"),
        pytest.param("https://fhir.example:٤٤٣/", id="port in Arabic digits"),
        pytest.param("https://-fhir.example/", id="label that begins with a hyphen"),
        pytest.param("https://fhir.example/a/../b", id="dot segment"),
        pytest.param("https://fhir.example/a/%2E%2e/b", id="dot segment, escaped"),
        pytest.param("https://fhir.example/a//b", id="empty segment"),
        pytest.param("https://fhir.example/r4\r\nHost: evil.example", id="line end"),
        pytest.param("https://fhir.example/\tr4", id="tab"),
        pytest.param(" https://fhir.example/r4", id="space before"),
        pytest.param("https://fhir.example/\0", id="NUL"),
        pytest.param(f"https://{'a' * 64}.example/", id="label of 64 characters"),
        pytest.param(f"https://{'a.' * 127}example/", id="name of 261 characters"),
        pytest.param(f"https://fhir.example/{'a' * 3000}", id="3000 characters"),
    ],
)
def test_what_programs_read_differently_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UrlError) as refused:
        read_url(text)
    assert not text or text not in str(refused.value)


@given(st.text() | st.from_regex(r"https?://[^/]*(/.*)?", fullmatch=True))
def test_whatever_the_text_it_is_refused_or_canonical(text: str) -> None:
    """A canonical URL is its own canonical form, plain ASCII, and a host in it holds no port, user or path."""
    try:
        url = read_url(text)
    except UrlError:
        return
    assert read_url(str(url)) == url
    assert str(url).isascii()
    assert not set("@/?#\\%[] ") & set(url.host)
    assert (url.address is not None) == (":" in url.host or url.host.rpartition(".")[2].isdigit())
