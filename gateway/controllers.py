"""What those who ask for erasures are told beside answers, as the settings have it: callbacks, and OpenDSR's facade."""

from datetime import UTC, datetime

from fastapi import APIRouter

from gateway import metrics
from gateway.forget import opendsr_routes
from gateway.forget.callback_target import CallbackRules
from gateway.forget.callbacks import Callbacks
from gateway.forget.outbox import Outbox
from gateway.forget.sealer import Sealer
from gateway.forget.signing import Signer
from gateway.forget.store import Store
from gateway.settings import Settings


def callback_rules(settings: Settings) -> CallbackRules:
    """Where callbacks may go."""
    return CallbackRules(tuple(settings.callback_hosts), settings.callback_loopback)


def callbacks(settings: Settings, outbox: Outbox, sealer: Sealer, signer: Signer) -> Callbacks:
    """Sends them, and counts what became of them."""
    domain, rules = settings.opendsr_domain, callback_rules(settings)
    return Callbacks(outbox, sealer, signer, rules, domain, on_result=metrics.count_callback)


def opendsr_router(settings: Settings, store: Store, signer: Signer) -> APIRouter:
    """OpenDSR's routes, with the operator's certificate or one that nobody vouches for."""
    domain, given = settings.opendsr_domain, settings.opendsr_certificate_file
    certificate = given.read_bytes() if given else signer.self_signed(domain, datetime.now(UTC))
    return opendsr_routes.router(store, signer, domain, certificate, callback_rules(settings))
