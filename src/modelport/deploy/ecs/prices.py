"""What a service costs in a month, estimated before anything is made.

List prices in USD without taxes, discounts, free tiers and traffic. Only those of Fargate in us-east-1 were compared with pages of
2026; all others were written down without a source at hand. They change. The estimate says that, and which region's prices it took
where it has none for one.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelport.deploy.base import Scale
from modelport.deploy.ecs.fargate import Pair
from modelport.deploy.ecs.options import Options

AS_OF = "early 2026"
SOURCE = "list prices of Fargate, Elastic Load Balancing, VPC and CloudWatch Logs"
HOURS = 730
"""Of a month, as AWS's own calculator counts."""
_ADDRESS_HOUR = 0.005  # a public IPv4 address, the same everywhere
_ARM = 0.8  # ARM's price to that of x86, to the cent


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a region, in USD: a vCPU and a GB of memory for an hour, a load balancer and its capacity unit for an hour, a GB of logs."""

    cpu: float
    memory: float
    balancer: float
    unit: float
    logs: float


_DEFAULT = "us-east-1"
_BASE = Prices(0.04048, 0.004445, 0.0225, 0.008, 0.50)
REGIONS: dict[str, Prices] = {
    _DEFAULT: _BASE,
    "us-east-2": _BASE,
    "us-west-2": _BASE,
    "us-west-1": Prices(0.04656, 0.00511, 0.0252, 0.008, 0.67),
    "ca-central-1": Prices(0.04456, 0.004865, 0.02475, 0.0088, 0.55),
    "eu-west-1": Prices(0.04048, 0.004445, 0.0252, 0.008, 0.57),
    "eu-west-2": Prices(0.04656, 0.00511, 0.02646, 0.0084, 0.5985),
    "eu-west-3": Prices(0.0486, 0.0053, 0.02646, 0.0084, 0.5985),
    "eu-central-1": Prices(0.04656, 0.00511, 0.027, 0.008, 0.63),
    "eu-north-1": Prices(0.0445, 0.0049, 0.02394, 0.0076, 0.5415),
    "ap-south-1": Prices(0.04256, 0.004655, 0.0239, 0.008, 0.67),
    "ap-southeast-1": Prices(0.05056, 0.00553, 0.0252, 0.008, 0.70),
    "ap-southeast-2": Prices(0.04856, 0.00532, 0.0252, 0.008, 0.67),
    "ap-northeast-1": Prices(0.05056, 0.00553, 0.0243, 0.008, 0.76),
    "sa-east-1": Prices(0.0696, 0.0076, 0.034, 0.011, 0.90),
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """USD a month with the fewest and with the most replicas, what it is made of, and what it leaves out."""

    least: float
    most: float
    lines: tuple[str, ...]


def estimate(region: str, pair: Pair, scale: Scale, options: Options) -> Estimate:
    """Return what the service would cost in a month."""
    prices = REGIONS.get(region, _BASE)
    share = _ARM if options.is_arm else 1.0
    replica = (prices.cpu * pair.cpu_units / 1024 + prices.memory * pair.memory_mib / 1024) * share
    address = _ADDRESS_HOUR if options.network.is_public else 0.0
    outside = 0 if options.network.is_internal else max(2, len(options.network.balancer))
    balancer = prices.balancer + outside * _ADDRESS_HOUR
    least, most = ((balancer + count * (replica + address)) * HOURS for count in (scale.minimum, scale.maximum))
    each = (replica + address) * HOURS
    cores, gigabytes = f"{pair.cpu_units / 1024:g}", f"{pair.memory_mib / 1024:g}"
    with_address = ", public address" if address else ""
    with_addresses = f" with {outside} public addresses" if outside else ""
    unit = "for each capacity unit in use (25 new connections/s, 3,000 open ones or 1 GB/h)"
    lines = [
        f"replicas: {scale.minimum} to {scale.maximum}, each {each:.2f} ({cores} vCPU, {gigabytes} GB{with_address})",
        f"load balancer: {balancer * HOURS:.2f}{with_addresses}, and {prices.unit * HOURS:.2f} {unit}",
        f"logs: {prices.logs:.2f} for each GB written; not in the sum, nor are traffic, the image's storage (0.10 a GB) and NAT gateways",
    ]
    if options.is_spot:
        lines.append("spot: replicas beyond the first cost up to 70 % less; the sum is without that")
    if region not in REGIONS:
        lines.append(f"prices of {region} are not known here: those of {_DEFAULT} are used")
    return Estimate(least, most, tuple(lines))


def told(found: Estimate) -> list[str]:
    """Return the estimate as lines."""
    span = f"{found.least:.2f}" if found.least == found.most else f"{found.least:.2f} (fewest replicas) to {found.most:.2f} (most)"
    head = f"estimate: {span} USD a month, by {SOURCE} as of {AS_OF}, mostly unchecked; the bill may differ"
    return [head, *(f"  {line}" for line in found.lines)]
