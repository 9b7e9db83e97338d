"""Addresses: which are public, and what a registration opens."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.security.addresses import METADATA, is_permitted, is_public, meant
from cds_hooks.security.urls import Address

ADDRESSES = st.ip_addresses()
MAPPED = st.ip_addresses(v=4).map(lambda address: IPv6Address(f"::ffff:{address}"))


@pytest.mark.parametrize("text", ["8.8.8.8", "141.42.1.1", "2606:4700::1111", "2a00:1450:4001::1", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.255.0.9", id="loopback, another"),
        pytest.param("::1", id="IPv6 loopback"),
        pytest.param("0.0.0.1", id="this network"),
        pytest.param("::", id="IPv6 unspecified"),
        pytest.param("10.1.2.3", id="private 10"),
        pytest.param("172.31.255.255", id="private 172"),
        pytest.param("192.168.0.1", id="private 192"),
        pytest.param("100.64.0.1", id="carrier NAT"),
        pytest.param("169.254.1.1", id="link-local"),
        pytest.param("fe80::1", id="IPv6 link-local"),
        pytest.param("fe80::1%eth0", id="IPv6 link-local with a zone"),
        pytest.param("2606:4700::1111%eth0", id="IPv6 with a zone"),
        pytest.param("fd12:3456::1", id="unique local"),
        pytest.param("fec0::1", id="site-local, deprecated"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("ff02::1", id="IPv6 multicast"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("192.0.2.1", id="documentation"),
        pytest.param("198.18.0.1", id="benchmarks"),
        pytest.param("2001:db8::1", id="IPv6 documentation"),
        pytest.param("3fff::1", id="IPv6 documentation, new"),
        pytest.param("2002:7f00:1::", id="6to4 of loopback"),
        pytest.param("2001:0:7f00:1::", id="Teredo"),
        pytest.param("::127.0.0.1", id="IPv4-compatible"),
        pytest.param("::ffff:127.0.0.1", id="IPv4-mapped loopback"),
        pytest.param("::ffff:169.254.169.254", id="IPv4-mapped metadata"),
        pytest.param("64:ff9b::7f00:1", id="NAT64 of loopback"),
        pytest.param("64:ff9b:1::1", id="NAT64, local use"),
        pytest.param("169.254.169.254", id="metadata"),
        pytest.param("fd00:ec2::254", id="metadata, IPv6"),
        pytest.param("168.63.129.16", id="metadata with a public number"),
    ],
)
def test_all_other_addresses_are_not(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not is_permitted(ip_address(text), ())


@pytest.mark.parametrize(
    ("text", "listed", "expected"),
    [
        pytest.param("10.20.3.4", "10.20.0.0/16", True, id="inside"),
        pytest.param("10.21.3.4", "10.20.0.0/16", False, id="outside"),
        pytest.param("::ffff:10.20.3.4", "10.20.0.0/16", True, id="IPv4-mapped, inside"),
        pytest.param("fd12::9", "fd12::/48", True, id="unique local, inside"),
        pytest.param("fd12::9", "10.0.0.0/8", False, id="another version of IP"),
        pytest.param("127.0.0.1", "127.0.0.0/8", True, id="loopback, listed"),
        pytest.param("169.254.169.254", "169.254.0.0/16", False, id="metadata inside a listed network"),
        pytest.param("169.254.169.254", "169.254.169.254/32", True, id="metadata listed as itself"),
        pytest.param("::ffff:169.254.169.254", "169.254.0.0/16", False, id="metadata, IPv4-mapped"),
        pytest.param("fd00:ec2::254", "fd00::/8", False, id="metadata inside a listed IPv6 network"),
        pytest.param("fe80::1%eth0", "fe80::/10", False, id="a zone is another link"),
    ],
)
def test_a_registration_opens_what_it_lists(text: str, listed: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert is_permitted(ip_address(text), [ip_network(listed)]) is expected


@given(ADDRESSES | MAPPED)
def test_nothing_is_public_that_the_standard_library_calls_local(address: Address) -> None:
    """Our table is at least as strict as Python's, which differs between versions, in what it calls global."""
    target = meant(address)
    if not target.is_global or target.is_multicast:
        assert not is_public(address)


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_an_ipv4_address_is_the_same_in_ipv6s_clothes(address: IPv4Address, prefix: str) -> None:
    clothed = IPv6Address(int(IPv6Address(prefix)) + int(address))
    assert meant(clothed) == address
    assert is_public(clothed) == is_public(address)


@given(ADDRESSES)
def test_what_is_permitted_by_nothing_is_public(address: Address) -> None:
    assert is_permitted(address, ()) == is_public(address)


@given(st.sampled_from(sorted(METADATA, key=str)), st.integers(min_value=1, max_value=24))
def test_no_network_around_a_metadata_service_opens_it(address: Address, bits: int) -> None:
    around = ipaddress.ip_network((address, address.max_prefixlen - bits), strict=False)
    assert not is_permitted(address, [around])
