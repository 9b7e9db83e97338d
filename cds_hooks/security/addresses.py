"""Addresses: which belong to the public internet, and which only a registration can open.

Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), read 2026-11; the metadata services' own
documentation. Written out, because what the standard library calls global differs between Python's versions.
"""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeAlias

from cds_hooks.security.urls import Address

Network: TypeAlias = IPv4Network | IPv6Network

_NOT_PUBLIC_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network (RFC 791)
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # shared, behind carriers' NAT (RFC 6598)
        "127.0.0.0/8",  # loopback (RFC 1122)
        "169.254.0.0/16",  # link-local (RFC 3927)
        "172.16.0.0/12",  # private (RFC 1918)
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # AMT (RFC 7450)
        "192.88.99.0/24",  # 6to4 relays, deprecated (RFC 7526)
        "192.168.0.0/16",  # private (RFC 1918)
        "192.175.48.0/24",  # AS112 (RFC 7534)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved, and the broadcast address (RFC 1112, RFC 8190)
    )
)

# Only 2000::/3 is given out as global unicast (RFC 4291); of it, these are not public.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them (RFC 2928, RFC 4380)
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4: an IPv4 address inside (RFC 3056)
        "2620:4f:8000::/48",  # AS112 (RFC 7534)
        "3fff::/20",  # documentation (RFC 9637)
    )
)

# Addresses that stand for an IPv4 address and go there (RFC 4291, 2.5.5.2; RFC 6052).
_MAPPED: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))

# Metadata services of clouds hand out credentials. They lie inside networks that a site may have good reasons to
# open, so they open only where they are listed as themselves.
METADATA: Final[frozenset[Address]] = frozenset(
    {
        IPv4Address("169.254.169.254"),  # AWS, Azure, Google, OpenStack and others
        IPv4Address("169.254.170.2"),  # AWS ECS tasks
        IPv4Address("169.254.170.23"),  # AWS EKS pods
        IPv4Address("169.254.0.23"),  # Tencent
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv4Address("168.63.129.16"),  # Azure's host, although public by its number
        IPv4Address("192.0.0.192"),  # Oracle
        IPv6Address("fd00:ec2::254"),  # AWS
        IPv6Address("fd00:ec2::23"),  # AWS EKS pods
        IPv6Address("fd20:ce::254"),  # Google
        IPv6Address("fe80::a9fe:a9fe"),  # OpenStack
    }
)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, and no metadata service."""
    target = meant(address)
    if target in METADATA:
        return False
    if isinstance(target, IPv4Address):
        return not any(target in network for network in _NOT_PUBLIC_V4)
    # The text form drops the zone, which is never part of a public address.
    return target.scope_id is None and target in _GLOBAL_UNICAST and not any(target in n for n in _NOT_PUBLIC_V6)


def is_permitted(address: Address, listed: Collection[Network]) -> bool:
    """Whether we may connect to an address: it is public, or in a network that the registration lists.

    A metadata service is permitted only where a network of exactly its one address is listed.
    """
    target = meant(address)
    if target in METADATA:
        return any(network.num_addresses == 1 and _holds(network, target) for network in listed)
    return is_public(target) or any(_holds(network, target) for network in listed)


def meant(address: Address) -> Address:
    """The address where packets would go: of an IPv6 address that stands for an IPv4 address, that one."""
    if isinstance(address, IPv6Address) and any(address in network for network in _MAPPED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _holds(network: Network, address: Address) -> bool:
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    return address.version == network.version and address in network
