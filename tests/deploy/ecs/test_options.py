"""What AWS could not do is refused in one sentence before AWS is asked: options, sizes, variables; and prices are sums."""

from __future__ import annotations

import pytest

from modelport.deploy.base import Scale, Size
from modelport.deploy.ecs.fargate import PAIRS, fit
from modelport.deploy.ecs.options import Network, check_region, check_service
from modelport.deploy.ecs.prices import estimate, told
from modelport.errors import UsageError

from .conftest import options, service


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"network": Network("x")}, "--vpc"),
        ({"network": Network("vpc-01234567", ("x",))}, "--subnet"),
        ({"network": Network("vpc-01234567", (), ("x",))}, "--task-subnet"),
        ({"allowed_from": "10.0.0.1/8"}, "--from"),
        ({"allowed_from": "${AWS::AccountId}"}, "--from"),
        ({"certificate": "arn:x"}, "--certificate"),
        ({"log_days": 2}, "--log-days"),
        ({"grace_s": 3601}, "--grace"),
        ({"bake_minutes": 1441}, "--bake"),
        ({"requests_per_replica": 0}, "--requests-per-replica"),
        ({"secrets": {"A": "plain"}}, "given by its ARN"),
        ({"secrets": {"A-B": "arn:aws:ssm:eu-west-1:123456789012:parameter/a"}}, "becomes a variable"),
        ({"pull_secret": "x"}, "--pull-secret"),
        ({"tags": {"aws:x": ""}}, "--tag"),
        ({"tags": {"modelport:model": "x"}}, "--tag"),
        ({"tags": {"a": "{{resolve:ssm:x}}"}}, "--tag"),
        ({"tags": {str(n): "" for n in range(41)}}, "at most 40"),
    ],
)
def test_options_that_cannot_be(facts: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        options(**facts)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"environment": {"A": "x{{resolve:secretsmanager:a}}"}}, "--secret A=ARN"),
        ({"environment": {"A": "{{Resolve:ssm:a}}"}}, "--secret A=ARN"),
        ({"environment": {"A": "\x01"}}, "no text"),
        ({"environment": {"A": "\ud800"}}, "no text"),
        ({"environment": {"A": "x" * 4097}}, "4097 bytes"),
        ({"environment": {"MODELPORT_PORT": "1"}}, "MODELPORT_PORT is 8080"),
        ({"environment": {f"A{n}": "" for n in range(101)}}, "at most 100"),
        ({"environment": {"TOKEN": "x"}}, "give it once"),
        ({"drain_s": 111}, "--drain"),
        ({"scale": Scale(0, 1)}, "--min 0"),
    ],
)
def test_services_that_cannot_be(facts: dict[str, object], said: str) -> None:
    asked = options(secrets={"TOKEN": "arn:aws:ssm:eu-west-1:123456789012:parameter/a"})
    with pytest.raises(UsageError, match=said):
        check_service(service(**facts), asked)


def test_a_region_is_a_regions_name() -> None:
    assert check_region("us-gov-west-1") == "us-gov-west-1"
    with pytest.raises(UsageError, match="--region"):
        check_region("eu-west-1; id")


def test_fargate_pairs_are_those_of_aws() -> None:
    """The table of the developer guide, by its corners and its number of rows."""
    assert {units: (memory[0], memory[-1], len(memory)) for units, memory in PAIRS.items()} == {
        256: (512, 2048, 3),
        512: (1024, 4096, 4),
        1024: (2048, 8192, 7),
        2048: (4096, 16384, 13),
        4096: (8192, 30720, 23),
        8192: (16384, 61440, 12),
        16384: (32768, 122880, 12),
    }


@pytest.mark.parametrize(
    ("size", "pair"),
    [
        (Size(0.25, 512), (256, 512)),
        (Size(0.05, 64), (256, 512)),
        (Size(0.25, 2049), (512, 3072)),
        (Size(1, 512), (1024, 2048)),
        (Size(1, 8193), (2048, 9216)),
        (Size(3, 4096), (4096, 8192)),
        (Size(8, 17000), (8192, 20480)),
        (Size(16, 122880), (16384, 122880)),
    ],
)
def test_the_smallest_pair_that_is_enough_is_taken_and_said(size: Size, pair: tuple[int, int]) -> None:
    found = fit(size)
    assert (found.cpu_units, found.memory_mib) == pair
    is_exact = pair == (round(size.cpu * 1024), size.memory_mb)
    assert (found.note == "") == is_exact


@pytest.mark.parametrize("size", [Size(17, 1024), Size(1, 122881)])
def test_more_than_fargate_has_is_refused(size: Size) -> None:
    with pytest.raises(UsageError, match="at most 16 cores"):
        fit(size)


def test_the_estimate_is_the_sum_of_its_parts() -> None:
    """us-east-1: 730 h of (0.04048 + 2 * 0.004445 + 0.005) a replica and (0.0225 + 2 * 0.005) for the load balancer."""
    found = estimate("us-east-1", fit(Size(1, 2048)), Scale(1, 3), options())
    assert found.least == pytest.approx(730 * (0.05437 + 0.0325))
    assert found.most == pytest.approx(730 * (3 * 0.05437 + 0.0325))
    text = "\n".join(told(found))
    assert "estimate" in text
    assert "may differ" in text
    assert "early 2026" in text


def test_what_changes_the_price_is_in_it() -> None:
    pair, scale = fit(Size(1, 2048)), Scale(2, 2)
    full = estimate("us-east-1", pair, scale, options())
    inside = estimate("us-east-1", pair, scale, options(network=Network(is_public=False, is_internal=True), is_arm=True))
    assert inside.least < full.least
    assert "spot" in "".join(estimate("us-east-1", pair, scale, options(is_spot=True)).lines)
    assert "xx-new-1 are not known" in "".join(estimate("xx-new-1", pair, scale, options()).lines)
    assert told(full)[0].count(" to ") == 0
