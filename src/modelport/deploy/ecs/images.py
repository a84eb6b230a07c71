"""The image that runs, by digest: looked up where a tag was given, or built and pushed to a repository of the service's own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from modelport.deploy.ecs.account import Account
from modelport.deploy.ecs.parameters import repository
from modelport.deploy.ecs.refusals import Refusal
from modelport.deploy.ecs.stack import Nothing
from modelport.deploy.pinning import Ask, by_registry
from modelport.errors import TargetRefused
from modelport.formats.base import Options as Reading
from modelport.image.build import build
from modelport.image.order import Order

_KEPT_IMAGES, _UNTAGGED_DAYS = 30, 14
_FEW = 2  # files are written without an answer, too
_MARK = "modelport:service"


class Image(msgspec.Struct, rename="camel", frozen=True):
    """An image in a repository."""

    image_digest: str = ""


class Images(msgspec.Struct, rename="camel", frozen=True):
    """Images in a repository."""

    image_details: list[Image] = []


class Described(msgspec.Struct, rename="camel", frozen=True):
    """A repository."""

    repository_arn: str
    repository_uri: str


class Created(msgspec.Struct, rename="camel", frozen=True):
    """The answer to making a repository."""

    repository: Described


class Repositories(msgspec.Struct, rename="camel", frozen=True):
    """Repositories."""

    repositories: list[Described] = []


class Tag(msgspec.Struct, rename="pascal", frozen=True):
    """A tag."""

    key: str
    value: str = ""


class Tags(msgspec.Struct, rename="camel", frozen=True):
    """Tags."""

    tags: list[Tag] = []


@dataclass(frozen=True, slots=True)
class Source:
    """What an image is built from. ``platform``: such as linux/amd64. ``base``: as `modelport image` takes it, "" for the default."""

    file: Path
    reading: Reading
    version: str
    platform: str
    base: str = ""


def by_digest(account: Account, image: str) -> str:
    """Return the reference with the digest that its tag stands for now; of this account's ECR with the account's own credentials.

    Raises: TargetRefused if the registry has no such image.
    """
    place = repository(image)
    if place is None or place.region != account.region:
        return by_registry(image)
    name, _, tag = image.partition("/")[2].partition(":")
    arguments = {"registryId": place.account, "repositoryName": name, "imageIds": [{"imageTag": tag or "latest"}]}
    found = account.ask("ecr", "describe_images", Images, arguments).image_details
    if not found or not found[0].image_digest:
        raise TargetRefused(f"{image} is not in its repository; push it with `modelport image FILE -t {image} --push`")
    return f"{image.partition('/')[0]}/{name}@{found[0].image_digest}"


def asker(profile: str | None) -> Ask:
    """Return what looks a tag's digest up for files: of ECR with the profile's credentials, in whichever region it is."""

    def ask(image: str) -> str:
        place = repository(image)
        return by_registry(image) if place is None else by_digest(Account(place.region, profile, attempts=_FEW), image)

    return ask


def repository_name(service: str) -> str:
    """Return the name of the repository that a service's images are pushed to."""
    return f"modelport/{service}"


def prepare(account: Account, service: str) -> str:
    """Make the service's repository if there is none, and return its address: tags immutable, scanned on push, old images expire.

    Raises: TargetRefused if the name is taken by a repository of somebody else's.
    """
    name = repository_name(service)
    found = find(account, service)
    if found is None:
        arguments = {
            "repositoryName": name,
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "tags": [{"Key": _MARK, "Value": service}],
        }
        found = account.ask("ecr", "create_repository", Created, arguments).repository
    elif not is_ours(account, found, service):
        raise TargetRefused(f"the repository {name} is there and was not made for this service; give the image with --image")
    policy = json.dumps(_lifecycle())
    account.ask("ecr", "put_lifecycle_policy", Nothing, {"repositoryName": name, "lifecyclePolicyText": policy})
    return found.repository_uri


def find(account: Account, service: str) -> Described | None:
    """Return the service's repository; None if there is none."""
    try:
        found = account.ask("ecr", "describe_repositories", Repositories, {"repositoryNames": [repository_name(service)]})
    except Refusal as refusal:
        if refusal.aws_code == "RepositoryNotFoundException":
            return None
        raise
    return found.repositories[0] if found.repositories else None


def is_ours(account: Account, found: Described, service: str) -> bool:
    """Whether the repository was made for the service: it says so in a tag."""
    tags = account.ask("ecr", "list_tags_for_resource", Tags, {"resourceArn": found.repository_arn}).tags
    return any(tag.key == _MARK and tag.value == service for tag in tags)


def remove(account: Account, service: str) -> bool:
    """Delete the service's repository with its images, if it is there and was made for it; say whether it was."""
    found = find(account, service)
    if found is None or not is_ours(account, found, service):
        return False
    account.ask("ecr", "delete_repository", Nothing, {"repositoryName": repository_name(service), "force": True})
    return True


def push(address: str, source: Source, say: Callable[[str], None]) -> str:
    """Build the image and push it; return its reference by digest. Raises: what building and pushing raise."""
    # Tags of the repository are immutable, so each build has its own; what is deployed is the digest.
    version = re.sub(r"[^A-Za-z0-9_]", "-", source.version)[:60]
    tag = f"{address}:v{version}-{datetime.now(UTC):%Y%m%d%H%M%S}"
    return build(Order(source.file, tag, source.reading, source.base, platforms=(source.platform,), is_pushed=True), say).reference


def _lifecycle() -> dict[str, object]:
    expire = {"type": "expire"}
    untagged = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": _UNTAGGED_DAYS}
    old = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": _KEPT_IMAGES}
    return {
        "rules": [
            {"rulePriority": 1, "description": "untagged", "selection": untagged, "action": expire},
            {"rulePriority": 2, "description": f"all but the last {_KEPT_IMAGES}", "selection": old, "action": expire},
        ]
    }
