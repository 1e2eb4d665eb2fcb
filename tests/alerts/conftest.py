"""Far ends for channels, a certificate of our own, and an installation with all channels."""

from __future__ import annotations

import re
import shlex
import shutil
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import duckdb
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import settings

from optout.files import make_dir
from optout.project import Project
from optout.settings import load_settings
from optout.testing.ledger import Ledger
from optout.testing.mail_server import MailServer
from optout.testing.receivers import Receiver
from optout.vendors import expected_streams
from optout.warehouse.connection import migrate
from orchestration.cli import cli

# The machine may be busy: slowness is no finding.
settings.register_profile("alerts", deadline=None)
settings.load_profile("alerts")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one
    assert one.broken == [], "a request broke the contract of its channel"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1, and the server's context with it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "ca.pem", folder / "key.pem"
    pem.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return pem, context


@pytest.fixture
def mail(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[MailServer]:
    with MailServer(certificate[1], password="mail-secret") as server:
        yield server


CONFIG = """
data_dir = "data"
timezone = "UTC"
categories = ["promotional"]
[hub]
name = "sell"
vendor = "zendesk_sell"
base_url = "http://127.0.0.1:1"
token_env = "SELL_TOKEN"
[[esp]]
name = "mailchimp"
vendor = "mailchimp"
base_url = "http://127.0.0.1:1/3.0"
token_env = "MC_TOKEN"
[esp.categories]
promotional = ["a1"]
[[esp]]
name = "sendgrid"
vendor = "sendgrid"
base_url = "http://127.0.0.1:1"
token_env = "SG_TOKEN"
[esp.categories]
promotional = ["12"]
"""
KEY = {"OPTOUT_KEY": "k" * 64}


@dataclass(frozen=True)
class Installation:
    """A configured data folder with a published copy that tests write."""

    folder: Path
    environ: dict[str, str]

    @property
    def config(self) -> Path:
        return self.folder / "optout.toml"

    def project(self, now: datetime) -> Project:
        return Project.open(self.config, now=now, environ=self.environ)

    def publish(self, tell: Callable[[Ledger], None]) -> None:
        """Replace the published copy by one with these facts, as a night does."""
        fresh = make_dir(self.folder / "data" / "published") / "optout.new"
        write_copy(fresh, tell)
        fresh.replace(fresh.with_suffix(".duckdb"))

    def publish_file(self, copy: Path) -> None:
        """The same with a copy that was written before."""
        fresh = make_dir(self.folder / "data" / "published") / "optout.new"
        shutil.copyfile(copy, fresh)
        fresh.replace(fresh.with_suffix(".duckdb"))


def write_copy(path: Path, tell: Callable[[Ledger], None]) -> Path:
    """A published copy with these facts."""
    with duckdb.connect(str(path), config={"threads": 1}) as con:
        migrate(con)
        tell(Ledger(con, streams=_streams()))
    return path


@cache
def _streams() -> Mapping[str, Sequence[str]]:
    """What a night of the installation reads."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "optout.toml"
        file.write_text(CONFIG, encoding="utf-8")
        return expected_streams(load_settings(file).systems)


@pytest.fixture(scope="session")
def copy_of() -> Callable[[Path, Callable[[Ledger], None]], Path]:
    return write_copy


def install(folder: Path, alerts: str = "", environ: dict[str, str] | None = None) -> Installation:
    """An installation of its own in a folder."""
    make_dir(folder)
    (folder / "optout.toml").write_text(CONFIG + alerts, encoding="utf-8")
    return Installation(folder, KEY | (environ or {}))


Install = Callable[..., Installation]


@pytest.fixture
def installation() -> Install:
    """How a test makes an installation (a fixture, because tests cannot import from here)."""
    return install


def every_channel(receiver: Receiver, mail: MailServer, ca: Path) -> str:
    """Five channels, and a route that sends everything to all of them."""
    return f"""
[alerts]
heartbeat_env = "BEAT"
{receiver.pager()}
[alerts.channel.chat]
kind = "slack"
token_env = "SLACK_TOKEN"
channel = "C0ALERTS"
base_url = "{receiver.url}/api/"
[alerts.channel.mail]
kind = "email"
host = "127.0.0.1"
port = {mail.port}
ca_file = "{ca}"
user = "optout"
password_env = "MAIL_PASSWORD"
from = "optout@example.test"
to = ["oncall@example.test"]
[alerts.channel.hook]
kind = "webhook"
url = "{receiver.url}/hook"
secret_env = "HOOK_SECRET"
[alerts.channel.file]
kind = "file"
[[alerts.route]]
channels = ["pager", "chat", "mail", "hook", "file"]
"""


@pytest.fixture
def channels() -> Callable[[Receiver, MailServer, Path], str]:
    return every_channel


_COMMAND = re.compile(r"(?:`|^)(optout [a-z][^`\n#]*)", re.MULTILINE)
_PLACES = {"SYSTEM": "sell", "TARGET": "sell", "FILE": "f.csv", "DATE": "2026-09-01"}


def check_commands(text: str) -> None:
    """Every command that a text names exists, with its options and their values."""
    for said in _COMMAND.findall(text):
        for name, value in _PLACES.items():
            said = said.replace(name, value)
        arguments = shlex.split(said)[1:]
        if arguments and not arguments[0].startswith("-"):
            _parse(cli, arguments)


def _parse(group: click.Command, arguments: list[str]) -> None:
    context = click.Context(group, info_name=group.name)
    while isinstance(group, click.Group):
        command = group.get_command(context, arguments[0])
        assert command is not None, f"there is no command {arguments[0]}"
        group, arguments = command, arguments[1:]
        if isinstance(group, click.Group) and not arguments:
            return
    group.make_context(group.name, arguments, parent=context, resilient_parsing=False)


@pytest.fixture(scope="session")
def commands_exist() -> Callable[[str], None]:
    return check_commands
