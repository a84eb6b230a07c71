"""The files that do without modelport what ``modelport deploy ecs`` does: template, parameters, and AWS's own commands."""

from __future__ import annotations

import json
import shlex

from modelport.deploy.base import Service
from modelport.deploy.documents import document
from modelport.deploy.ecs import parameters
from modelport.deploy.ecs.options import Options, check_region
from modelport.deploy.ecs.template import BODY_BYTES, check_size, template

MISSING = "FILL-IN"
"""What stands in ``parameters.json`` for what nobody named: the network, which is looked up only where something is applied."""


def render(service: Service, options: Options, region: str = "") -> dict[str, str]:
    """Return path and text of each file. Pure. Raises: UsageError for what this target cannot do."""
    values = parameters.values(service, options)
    # A variable may be empty, a network may not.
    values |= {name: MISSING for name in ("VpcId", "BalancerSubnets", "TaskSubnets") if not values[name]}
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
    return {
        "template.yaml": _body(service, options),
        "parameters.json": json.dumps(given, indent=2) + "\n",
        "commands.txt": _commands(service, options, region or _region_of(service.image)),
    }


def _body(service: Service, options: Options) -> str:
    """Return the template to be read; where AWS would not take as much, as JSON, which is YAML too and shorter."""
    data = template(service, options)
    text = document(data)
    if len(text.encode()) > BODY_BYTES:
        text = json.dumps(data) + "\n"
        check_size(text)
    return text


def unfilled(options: Options) -> list[str]:
    """Return what the files leave open, as sentences."""
    found = []
    if not options.network.vpc or not options.network.balancer:
        found.append(f"parameters.json has {MISSING} for the network: name it with --vpc and --subnet, or as commands.txt shows")
    return found


def _region_of(image: str) -> str:
    place = parameters.repository(image)
    return place.region if place is not None else ""


def _commands(service: Service, options: Options, region: str) -> str:
    """The stack's name and the region match a grammar, and are quoted all the same."""
    where = f" --region {shlex.quote(check_region(region))}" if region else ""
    common = f"--stack-name {shlex.quote(service.name)}{where}"
    change = f"{common} --change-set-name first"
    files = "--template-body file://template.yaml --parameters file://parameters.json --capabilities CAPABILITY_IAM"
    filled = bool(options.network.vpc and options.network.balancer)
    open_ends = "" if filled else _network(where)
    tagged = f"# The image is what {service.tag} was when this was written.\n" if service.tag else ""
    return f"""# What `modelport deploy ecs` does, with the AWS CLI alone. Run in this folder.
{tagged}{open_ends}
# 1. Have the change worked out. For a stack that is there already: --change-set-type UPDATE.
aws cloudformation create-change-set {change} --change-set-type CREATE {files}
aws cloudformation wait change-set-create-complete {change}

# 2. Read it. Nothing was made so far.
aws cloudformation describe-change-set {change}

# 3. Do it.
aws cloudformation execute-change-set {change}

# 4. Wait until it is up (of a change: stack-update-complete), and see where the service answers (Url), or why it does not.
aws cloudformation wait stack-create-complete {common}
aws cloudformation describe-stacks {common} --query 'Stacks[0].[StackStatus,StackStatusReason,Outputs]'

# To take it away: aws cloudformation delete-stack {common}
"""


def _network(where: str) -> str:
    return f"""
# First replace {MISSING} in parameters.json: the VPC, its subnets in two zones at least (separated by commas), those of the replicas.
#   aws ec2 describe-vpcs --filters Name=is-default,Values=true{where} --query 'Vpcs[].VpcId'
#   aws ec2 describe-subnets --filters Name=vpc-id,Values=VPC{where} --query 'Subnets[].[SubnetId,AvailabilityZone]'
"""
