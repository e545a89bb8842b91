"""Alerts as mails to a real local server: security, login, recipients, and what counts as not taken."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from orchestration.alerts.failure import SendFailed
from orchestration.alerts.mail import EmailChannel, MailServer, mail_of
from orchestration.alerts.model import Alert
from tests.unit.alerts.small_releases import ALERT

SENDER, RECIPIENTS = "warehouse@example.org", ("a@example.org", "b@example.org")


@dataclass
class Inbox:
    """What the server took; addresses in `refused` are not taken, `code` is its answer to the content."""

    envelopes: list[Envelope] = field(default_factory=list)
    refused: tuple[str, ...] = ()
    code: str = "250 taken"

    async def handle_RCPT(
        self, _server: object, _session: object, envelope: Envelope, address: str, _options: object
    ) -> str:
        if address in self.refused:
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 taken"

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:
        if self.code.startswith("250"):
            self.envelopes.append(envelope)
        return self.code

    def mail(self) -> EmailMessage:
        """The one mail it took."""
        assert len(self.envelopes) == 1
        read = email.message_from_bytes(bytes(self.envelopes[0].content or b""), policy=email.policy.default)
        assert isinstance(read, EmailMessage)
        return read


Serve = Callable[..., MailServer]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def serve(inbox: Inbox) -> Iterator[Serve]:
    """Starts a server with aiosmtpd's options; gives how to reach it."""
    running: list[Controller] = []

    def start(security: Any = "none", **options: Any) -> MailServer:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        controller = Controller(inbox, hostname="127.0.0.1", port=port, **options)
        controller.start()
        running.append(controller)
        return MailServer("127.0.0.1", port, security)

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 with its key, signed by itself."""
    import ipaddress

    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def content_of(mail: EmailMessage) -> str:
    """The text of a mail with the line ends of this system."""
    return str(mail.get_content()).replace("\r\n", "\n")


def login(user: bytes, password: bytes) -> Callable[..., AuthResult]:
    """A server's login that knows one user."""

    def check(_server: object, _session: object, _envelope: object, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (user, password), handled=False)

    return check


def test_a_mail_arrives_whole_for_all_recipients_when_the_server_is_up(serve: Serve, inbox: Inbox) -> None:
    EmailChannel(serve(), SENDER, RECIPIENTS).send(ALERT)
    mail = inbox.mail()
    assert inbox.envelopes[0].rcpt_tos == list(RECIPIENTS)
    assert mail["Subject"] == "Mirror warehouse: 2 checks refused the run"
    assert (mail["From"], mail["To"]) == (SENDER, "a@example.org, b@example.org")
    assert mail["Message-ID"] == f"<{ALERT.alert_id}@example.org>"
    text = content_of(mail)
    assert all(part in text for part in (ALERT.message, ALERT.query, ALERT.release_id, "suite: marts", ALERT.alert_id))


def test_letters_of_every_language_arrive_when_a_place_has_them(serve: Serve, inbox: Inbox) -> None:
    alert = replace(ALERT, message="Côte d'Ivoire to Türkiye:\nanomalous passage " + "x" * 2000)
    EmailChannel(serve(), SENDER, RECIPIENTS).send(alert)
    assert inbox.mail()["Subject"] == "Mirror warehouse: Côte d'Ivoire to Türkiye:"
    assert "Türkiye:\nanomalous passage xxx" in content_of(inbox.mail())


def test_it_is_taken_over_a_secured_way_after_login_when_starttls_is_set(
    serve: Serve, inbox: Inbox, certificate: Path, server_side: ssl.SSLContext
) -> None:
    server = serve(
        "starttls",
        **{"tls_context": server_side, "require_starttls": True},
        **{"authenticator": login(b"me", b"s3cret"), "auth_required": True},
    )
    trust = ssl.create_default_context(cafile=str(certificate))
    EmailChannel(replace(server, user="me", password="s3cret", trust=trust), SENDER, RECIPIENTS).send(ALERT)
    assert inbox.mail()["From"] == SENDER


def test_it_is_taken_when_the_way_is_secured_from_the_start(
    serve: Serve, inbox: Inbox, certificate: Path, server_side: ssl.SSLContext
) -> None:
    trust = ssl.create_default_context(cafile=str(certificate))
    server = serve("tls", ssl_context=server_side)
    EmailChannel(replace(server, trust=trust), SENDER, RECIPIENTS).send(ALERT)
    assert inbox.mail()["From"] == SENDER


@pytest.mark.parametrize("trusts_system_only", [True, False])
def test_nothing_is_sent_in_clear_when_the_way_cannot_be_secured(
    serve: Serve, inbox: Inbox, server_side: ssl.SSLContext, trusts_system_only: bool
) -> None:
    options = {"tls_context": server_side} if trusts_system_only else {}
    with pytest.raises(SendFailed, match=r"SSLCertVerificationError|SMTPNotSupportedError") as failure:
        EmailChannel(serve("starttls", **options), SENDER, RECIPIENTS).send(ALERT)
    assert failure.value.channel_is_down
    assert inbox.envelopes == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_the_password_stays_secret_when_the_login_is_refused(serve: Serve, inbox: Inbox) -> None:
    options = {"authenticator": login(b"me", b"other"), "auth_require_tls": False, "auth_required": True}
    server = replace(serve(**options), user="me", password="s3cret")
    with pytest.raises(SendFailed, match=r"SMTPAuthenticationError, status 535") as failure:
        EmailChannel(server, SENDER, RECIPIENTS).send(ALERT)
    assert failure.value.__cause__ is None
    assert "s3cret" not in repr(server) + str(failure.value)
    assert inbox.envelopes == []


def test_it_counts_as_sent_and_is_said_when_some_recipients_are_refused(
    serve: Serve, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.refused = ("b@example.org",)
    EmailChannel(serve(), SENDER, RECIPIENTS).send(ALERT)
    assert inbox.envelopes[0].rcpt_tos == ["a@example.org"]
    assert "refused for 1 of 2 recipients" in caplog.text


@pytest.mark.parametrize(("refused", "code"), [(RECIPIENTS, "250 taken"), ((), "554 s3cret no")])
def test_others_are_still_tried_when_only_this_mail_is_refused(
    serve: Serve, inbox: Inbox, refused: tuple[str, ...], code: str
) -> None:
    inbox.refused, inbox.code = refused, code
    with pytest.raises(SendFailed, match=r"SMTPRecipientsRefused|SMTPDataError, status 554") as failure:
        EmailChannel(serve(), SENDER, RECIPIENTS).send(ALERT)
    assert not failure.value.channel_is_down
    assert "s3cret" not in str(failure.value)


def test_the_channel_is_down_when_no_server_is_there() -> None:
    with pytest.raises(SendFailed, match="ConnectionRefusedError") as failure:
        EmailChannel(MailServer("127.0.0.1", 9, "none"), SENDER, RECIPIENTS).send(ALERT)
    assert failure.value.channel_is_down


def test_no_header_can_be_added_when_a_message_has_several_lines() -> None:
    mail = mail_of(Alert("run_failed", "x", "one\r\nBcc: c@example.org", "r-1", "q"), SENDER, RECIPIENTS)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Mirror warehouse: one"
