"""The words of a CloudFormation template. They are given our own constants only, never a value of a user's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from modelport.deploy.documents import Data

Resource: TypeAlias = dict[str, Data]


def ref(name: str) -> Data:
    """Return a reference to a parameter or a resource."""
    return {"Ref": name}


def att(resource: str, attribute: str) -> Data:
    """Return an attribute of a resource."""
    return {"Fn::GetAtt": [resource, attribute]}


def sub(text: str) -> Data:
    """Return a text with references in it."""
    return {"Fn::Sub": text}


def role(service: str, *policies: Data) -> Resource:
    """Return a role for a service of AWS, with the policies that it has."""
    trust: Data = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    properties: dict[str, Data] = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}
    if policies:
        properties["Policies"] = list(policies)
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def policy(name: str, statements: Sequence[Data]) -> Data:
    """Return a policy of a role."""
    return {"PolicyName": name, "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}


def allow(actions: Sequence[str], resources: Sequence[Data]) -> Data:
    """Return a statement that allows exactly these actions on exactly these resources."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
