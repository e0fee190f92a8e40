"""`{% load openclaw %}{% session_keeper %}`: the heartbeat's markup in a Django template.

Language and time zone are Django's; what is rendered is decided in `heartbeat_markup`.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django import template
from django.conf import settings
from django.utils import timezone, translation

from ....errors import ConfigurationError
from ....heartbeat_markup import Html, Value, Wishes, session_keeper
from .. import conf
from ..session import DjangoSession, SkippedSession

register = template.Library()


@register.simple_tag(takes_context=True, name="session_keeper")
def session_keeper_tag(
    context: Any,
    *,
    lang: str | None = None,
    nonce: str = "",
    noscript: str | None = None,
    **attributes: Value,
) -> Html:
    """The script, the `<session-keeper>` element and the `<noscript>` line.

    Args:
        lang: language of the page; default: the active translation.
        nonce: of the page's Content-Security-Policy.
        noscript: replaces the line, with `{time}` in it; empty for none.
        attributes: of the element, with underscores for hyphens.
    """
    request = context.get("request")
    if request is None:
        raise ConfigurationError(
            "{% session_keeper %} needs the request: render with it, and put "
            "django.template.context_processors.request into the context processors"
        )
    session = getattr(request, "session", None)
    # Under Django's own session middleware the heartbeat is not served.
    ours = hasattr(request, "_openclaw_exchange") and isinstance(session, DjangoSession)
    if not ours or isinstance(session, SkippedSession):
        return Html("")
    if lang is None:
        lang = translation.get_language() or ""
    zone = timezone.get_current_timezone() if settings.USE_TZ else UTC
    return session_keeper(session, conf.runtime(), Wishes(lang, nonce, zone, noscript), attributes)
