"""A server that speaks S3's own protocol, in a process of its own; it checks signatures and what a key may do."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.forget.servers import free_port, until

BUCKET = "models"


@dataclass(frozen=True)
class ObjectStorage:
    """Where it is, and the credentials of somebody who may use it; it has one bucket."""

    endpoint: str
    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """As AWS's own clients are told it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Whoever has the credentials may list and read, until the block ends."""
        iam = _client("iam", self.endpoint, self.access_key, self.secret_key)
        _allow(iam, "s3:List*", "s3:Get*")
        try:
            yield
        finally:
            _allow(iam, "s3:*")

    def client(self) -> Any:
        """A plain client of it."""
        return _client("s3", self.endpoint, self.access_key, self.secret_key)


@contextmanager
def object_storage(log: Path) -> Iterator[ObjectStorage]:
    """Running until the block ends."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
    try:

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return httpx.get(f"{endpoint}/moto-api/").is_success
            except httpx.HTTPError:
                return False

        until(answers, 60)
        _client("s3", endpoint).create_bucket(Bucket=BUCKET)
        yield ObjectStorage(endpoint, *_holder(endpoint))
    finally:
        process.terminate()
        process.wait(30)


def _client(service: str, endpoint: str, *credentials: str) -> Any:
    import boto3  # comes with the server, which is not everywhere

    id_, secret = credentials or ("first", "first")
    return boto3.client(
        service, "us-east-1", endpoint_url=endpoint, aws_access_key_id=id_, aws_secret_access_key=secret
    )


def _holder(endpoint: str) -> tuple[str, str]:
    """Makes somebody who may use S3; from then on nobody else may anything."""
    iam = _client("iam", endpoint)
    iam.create_user(UserName="gateway")
    _allow(iam, "s3:*")
    key = iam.create_access_key(UserName="gateway")["AccessKey"]
    httpx.post(f"{endpoint}/moto-api/reset-auth", content="0").raise_for_status()
    return key["AccessKeyId"], key["SecretAccessKey"]


def _allow(iam: Any, *actions: str) -> None:
    statements = [
        {"Effect": "Allow", "Action": [*actions], "Resource": "*"},
        {"Effect": "Allow", "Action": "iam:PutUserPolicy", "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="gateway", PolicyName="adapters", PolicyDocument=policy)
