"""From a service to a live address: looked up, planned, shown, agreed to, built, changed, watched."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from modelport.deploy.base import Service
from modelport.deploy.ecs import images, network, parameters, plan, stack, watch
from modelport.deploy.ecs.account import Account
from modelport.deploy.ecs.fargate import fit
from modelport.deploy.ecs.images import Source
from modelport.deploy.ecs.options import Options
from modelport.deploy.ecs.prices import estimate
from modelport.deploy.ecs.stack import Pause, Proposal, Stack
from modelport.deploy.ecs.template import template
from modelport.deploy.pinning import caution, is_pinned, pinned
from modelport.errors import ModelportError, TargetRefused

UNBUILT = "modelport/to-be-built"
"""The image of a service whose image is not built yet."""


@dataclass(frozen=True, slots=True)
class Talk:
    """How the person at the terminal is spoken to: told something, asked whether to go on; ``pause`` waits between two looks."""

    say: Callable[[str], None]
    agree: Callable[[str], bool]
    pause: Pause = time.sleep


@dataclass(frozen=True, slots=True)
class Wish:
    """How far to go. ``source``: what the image is built from; None where nothing is built. ``is_resolved``: deploy a tag's digest."""

    source: Source | None
    is_plan: bool = False
    is_agreed: bool = False
    is_waiting: bool = True
    is_resolved: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. ``state``: planned, unchanged, declined, begun or done. ``url``: where the service answers, "" if not yet."""

    state: str
    name: str
    region: str
    image: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A service with nothing left open but an image that is yet to be built."""

    service: Service
    options: Options
    is_unbuilt: bool
    notes: tuple[str, ...]
    account: str


class Certificate(msgspec.Struct, rename="pascal", frozen=True):
    """A certificate."""

    domain_name: str = ""
    status: str = ""


class Certificates(msgspec.Struct, rename="pascal", frozen=True):
    """The answer that holds one."""

    certificate: Certificate


class Balancer(msgspec.Struct, frozen=True):
    """A load balancer."""

    dns_name: str = msgspec.field(name="DNSName", default="")


class Balancers(msgspec.Struct, rename="pascal", frozen=True):
    """Load balancers."""

    load_balancers: list[Balancer] = []


def deploy(account: Account, service: Service, options: Options, wish: Wish, talk: Talk) -> Outcome:
    """Bring a service to what is asked for. Nothing is made or changed before the plan was shown and agreed to.

    Raises: TargetRefused with AWS's words; UsageError; what building the image raises.
    """
    draft = draw(account, service, options, is_resolved=wish.is_resolved)
    before = stack.find(account, service.name)
    stack.check_free(before)
    is_new = before is None or before.stack_status == "REVIEW_IN_PROGRESS"
    proposal = None if is_new else _propose(account, draft, talk)
    for line in plan.lines(_planned(account, draft, before, proposal)):
        talk.say(line)
    try:
        stop = _stop(draft, proposal, wish, talk)
    except ModelportError:
        if proposal is not None:
            stack.discard(account, proposal)
        raise
    if proposal is not None and (stop or draft.is_unbuilt):
        stack.discard(account, proposal)
        proposal = None
    if stop:
        url = url_of(account, before) if stop == "unchanged" and before else ""
        return Outcome(stop, service.name, account.region, draft.service.image, url)
    if draft.is_unbuilt and wish.source is not None:
        image = images.push(images.prepare(account, service.name), wish.source, talk.say)
        draft = replace(draft, service=replace(draft.service, image=image))
    proposal = proposal or _propose(account, draft, talk)
    outcome = Outcome("done" if wish.is_waiting else "begun", service.name, account.region, draft.service.image)
    return carry_out(account, proposal, outcome, talk)


def carry_out(account: Account, proposal: Proposal, outcome: Outcome, talk: Talk) -> Outcome:
    """Execute a change set; unless the outcome is to be merely begun, see it through. Raises: TargetRefused with the reason."""
    if proposal.is_empty:
        stack.discard(account, proposal)
        return replace(outcome, state="unchanged", url=url_of(account, stack.ours(account, outcome.name)))
    if proposal.is_new:
        seen = watch.Watch(account, proposal.stack_id, talk.say)
    else:
        seen = watch.begin(account, proposal.stack_id, talk.say)
    stack.execute(account, proposal)
    if outcome.state == "begun":
        return outcome
    watch.check_success(seen, outcome.name, watch.until_done(seen, talk.pause))
    return replace(outcome, url=url_of(account, stack.ours(account, outcome.name)))


def draw(account: Account, service: Service, options: Options, *, is_resolved: bool = True) -> Draft:
    """Look up what was left open: network, certificate, the image's digest. Nothing is changed. Raises: TargetRefused, UsageError."""
    number = account.identity().account
    place = network.find(account, options.network)
    options = replace(options, network=place.network)
    is_unbuilt = service.image == UNBUILT
    if is_unbuilt:
        image = f"{number}.dkr.ecr.{account.region}.amazonaws.com/{images.repository_name(service.name)}:to-be-built"
        service, said = replace(service, image=image), ""
    elif is_resolved:
        service, said = pinned(service, partial(images.by_digest, account))
    else:
        said = "" if is_pinned(service.image) else caution(service.image)
    parameters.values(service, options)
    notes = [*place.notes, *_certificate_notes(account, options), *_notes(service, options), *([said] if said else [])]
    if is_unbuilt:
        notes.append(f"the image is yet to be built, and pushed to the repository {images.repository_name(service.name)}")
    return Draft(service, options, is_unbuilt, tuple(notes), number)


def url_of(account: Account, found: Stack) -> str:
    """Return where a stack's service answers; "" if it has no load balancer (yet)."""
    arn = stack.resources(account, found.stack_id).get("Balancer", "")
    if not arn:
        return ""
    balancers = account.ask("elbv2", "describe_load_balancers", Balancers, {"LoadBalancerArns": [arn]}).load_balancers
    scheme = "https" if "CertificateArn" in found.values else "http"
    return f"{scheme}://{balancers[0].dns_name}" if balancers else ""


def _propose(account: Account, draft: Draft, talk: Talk) -> Proposal:
    body = json.dumps(template(draft.service, draft.options))
    return stack.propose(account, draft.service.name, body, parameters.values(draft.service, draft.options), talk.pause)


def _planned(account: Account, draft: Draft, before: Stack | None, proposal: Proposal | None) -> plan.Plan:
    cost = estimate(account.region, fit(draft.service.size), draft.service.scale, draft.options)
    where = f"the stack {draft.service.name} in {account.region}, account {draft.account}"
    values = parameters.values(draft.service, draft.options)
    if proposal is None or before is None:
        return plan.Plan(f"{where}, would be new:", plan.made(template(draft.service, draft.options)), (), draft.notes, cost)
    if proposal.is_empty:
        return plan.Plan(f"{where}, would stay as it is", (), (), draft.notes, cost)
    return plan.Plan(f"{where}, would change:", plan.changed(proposal.changes), plan.differing(before.values, values), draft.notes, cost)


def _stop(draft: Draft, proposal: Proposal | None, wish: Wish, talk: Talk) -> str:
    """Return why it ends here, "" if it goes on."""
    if wish.is_plan:
        return "planned"
    if proposal is not None and proposal.is_empty:
        return "unchanged"
    question = "build and push the image, and do this?" if draft.is_unbuilt else "do this?"
    return "" if wish.is_agreed or talk.agree(question) else "declined"


def _certificate_notes(account: Account, options: Options) -> list[str]:
    arn = options.certificate
    if not arn:
        return ["plain HTTP: everybody on the way can read requests and keys; give --certificate for HTTPS"]
    if ":acm:" not in arn:
        return []
    if arn.split(":")[3] != account.region:
        raise TargetRefused(f"the certificate {arn} is in another region than the service; ask for one in {account.region}")
    found = account.ask("acm", "describe_certificate", Certificates, {"CertificateArn": arn}).certificate
    if found.status != "ISSUED":
        raise TargetRefused(f"the certificate of {found.domain_name} is not issued but {found.status}; finish its validation first")
    return [f"clients must use the name {found.domain_name}: point it (CNAME or alias) at the load balancer"]


def _notes(service: Service, options: Options) -> list[str]:
    found = [note] if (note := fit(service.size).note) else []
    if service.scale.minimum == 1:
        found.append("one replica at least: if it dies, requests fail until another has started; --min 2 avoids that")
    if options.network.is_internal:
        found.append("internal: only clients inside the VPC, or connected to it, reach the service")
    return found
