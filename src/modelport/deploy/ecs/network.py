"""Where a service is put: the default VPC unless another is named, subnets in two zones at least, and a way out for the replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from modelport.deploy.ecs.account import Account
from modelport.deploy.ecs.options import Network
from modelport.errors import TargetRefused, UsageError

_ENDPOINTS = ("ecr.api", "ecr.dkr", "logs", "s3")
"""What replicas reach without the internet: the registry, its layers, the log service."""


class Vpc(msgspec.Struct, rename="pascal", frozen=True):
    """A network."""

    vpc_id: str


class Vpcs(msgspec.Struct, rename="pascal", frozen=True):
    """Networks."""

    vpcs: list[Vpc] = []


class Subnet(msgspec.Struct, rename="pascal", frozen=True):
    """A part of a network, in one zone."""

    subnet_id: str
    vpc_id: str
    availability_zone: str


class Subnets(msgspec.Struct, rename="pascal", frozen=True):
    """Parts of a network."""

    subnets: list[Subnet] = []


class Route(msgspec.Struct, rename="pascal", frozen=True):
    """Where packets to an address go."""

    destination_cidr_block: str = ""
    gateway_id: str = ""
    nat_gateway_id: str = ""
    transit_gateway_id: str = ""
    network_interface_id: str = ""


class Association(msgspec.Struct, rename="pascal", frozen=True):
    """Whose routes they are."""

    subnet_id: str = ""
    main: bool = False


class RouteTable(msgspec.Struct, rename="pascal", frozen=True):
    """Routes of some subnets."""

    routes: list[Route] = []
    associations: list[Association] = []


class RouteTables(msgspec.Struct, rename="pascal", frozen=True):
    """All routes of a network."""

    route_tables: list[RouteTable] = []


class Endpoint(msgspec.Struct, rename="pascal", frozen=True):
    """A door from a network to a service of AWS."""

    service_name: str = ""


class Endpoints(msgspec.Struct, rename="pascal", frozen=True):
    """The doors of a network."""

    vpc_endpoints: list[Endpoint] = []


@dataclass(frozen=True, slots=True)
class Place:
    """The network found, and what its owner should know."""

    network: Network
    notes: tuple[str, ...] = ()


def find(account: Account, asked: Network) -> Place:
    """Return the network with nothing left open: what was named is checked, the rest is looked up.

    Raises: TargetRefused if there is no default VPC, no two zones, or no way out; UsageError if subnets and VPC do not belong together.
    """
    vpc = asked.vpc or _vpc_of(account, asked.balancer) or _default_vpc(account)
    subnets = _subnets(account, vpc)
    ways = _ways(account, vpc, subnets)
    balancer = _named(subnets, asked.balancer, "--subnet") or _chosen(subnets, ways, is_default=not asked.vpc, asked=asked)
    if len({subnet.availability_zone for subnet in balancer}) < 2:
        raise TargetRefused(
            f"a load balancer needs subnets in two zones, found {len(balancer)} usable in {vpc}; "
            "name two with --subnet, or another VPC with --vpc"
        )
    notes = _reachable(balancer, ways, asked)
    tasks = _named(subnets, asked.tasks, "--task-subnet")
    if not asked.is_public:
        tasks = tasks or [subnet for subnet in subnets if ways.get(subnet.subnet_id) != "internet"]
        _check_way_out(account, vpc, tasks, ways)
    network = replace(asked, vpc=vpc, balancer=_ids(balancer), tasks=_ids(tasks or balancer))
    return Place(network, tuple(notes))


def _default_vpc(account: Account) -> str:
    found = account.ask("ec2", "describe_vpcs", Vpcs, {"Filters": [{"Name": "is-default", "Values": ["true"]}]})
    if not found.vpcs:
        raise TargetRefused(
            f"{account.region} has no default VPC; name one with --vpc and its subnets with --subnet, "
            "or make one with `aws ec2 create-default-vpc`"
        )
    return found.vpcs[0].vpc_id


def _vpc_of(account: Account, subnets: Sequence[str]) -> str:
    if not subnets:
        return ""
    return account.ask("ec2", "describe_subnets", Subnets, {"SubnetIds": list(subnets)}).subnets[0].vpc_id


def _subnets(account: Account, vpc: str) -> list[Subnet]:
    found = account.ask("ec2", "describe_subnets", Subnets, {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]})
    return sorted(found.subnets, key=lambda subnet: (subnet.availability_zone, subnet.subnet_id))


def _named(subnets: Sequence[Subnet], names: Sequence[str], flag: str) -> list[Subnet]:
    known = {subnet.subnet_id: subnet for subnet in subnets}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"{flag} {unknown[0]} is not in the VPC, whose subnets are {', '.join(known) or 'none'}; name one of these")
    return [known[name] for name in names]


def _chosen(subnets: Sequence[Subnet], ways: dict[str, str], *, is_default: bool, asked: Network) -> list[Subnet]:
    """One subnet a zone: a default VPC's are all reachable; in another, those that the internet reaches, or any for inside use."""
    fitting = [subnet for subnet in subnets if is_default or asked.is_internal or ways.get(subnet.subnet_id) == "internet"]
    return list({subnet.availability_zone: subnet for subnet in reversed(fitting)}.values())[::-1]


def _ways(account: Account, vpc: str, subnets: Sequence[Subnet]) -> dict[str, str]:
    """Return where each subnet's packets to the world go: internet (a gateway), nat (or another way round), or nothing."""
    tables = account.ask("ec2", "describe_route_tables", RouteTables, {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]}).route_tables
    main = next((_way(table) for table in tables if any(one.main for one in table.associations)), "")
    own = {one.subnet_id: _way(table) for table in tables for one in table.associations if one.subnet_id}
    return {subnet.subnet_id: own.get(subnet.subnet_id, main) for subnet in subnets}


def _way(table: RouteTable) -> str:
    out = [route for route in table.routes if route.destination_cidr_block == "0.0.0.0/0"]
    if any(route.gateway_id.startswith("igw-") for route in out):
        return "internet"
    return "nat" if any(route.nat_gateway_id or route.transit_gateway_id or route.network_interface_id for route in out) else ""


def _reachable(balancer: Sequence[Subnet], ways: dict[str, str], asked: Network) -> list[str]:
    dark = [subnet.subnet_id for subnet in balancer if ways.get(subnet.subnet_id) != "internet"]
    if asked.is_internal or not dark:
        return []
    named = ", ".join(dark)
    return [f"{named}: no route to an internet gateway, so clients out there will not get through (--internal says that none should)"]


def _check_way_out(account: Account, vpc: str, tasks: Sequence[Subnet], ways: dict[str, str]) -> None:
    if not tasks:
        raise TargetRefused(f"{vpc} has no private subnet; name some with --task-subnet, or leave --private out")
    stuck = [subnet.subnet_id for subnet in tasks if ways.get(subnet.subnet_id) != "nat"]
    if not stuck:
        return
    found = account.ask("ec2", "describe_vpc_endpoints", Endpoints, {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]})
    there = {endpoint.service_name.split(f".{account.region}.")[-1] for endpoint in found.vpc_endpoints}
    if missing := [name for name in _ENDPOINTS if name not in there]:
        raise TargetRefused(
            f"replicas in {stuck[0]} could not fetch their image: there is no route through a NAT gateway, "
            f"and no endpoint for {', '.join(missing)}; add either, or leave --private out"
        )


def _ids(subnets: Sequence[Subnet]) -> tuple[str, ...]:
    return tuple(subnet.subnet_id for subnet in subnets)
