from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from openclaw_middleware.adapters.django import get_manager, get_session


@login_required(login_url="login")
def home(request: HttpRequest) -> HttpResponse:
    """The notes, which live in the session, and the places its owner is signed in."""
    if request.method == "POST":
        # Nested and in place: two tabs that add a note at once both keep theirs.
        request.session.setdefault("notes", []).append(request.POST["note"])
        messages.success(request, "Noted.")
        return redirect("/")
    session = get_session(request)
    devices = get_manager(request).sessions_of(session.user_id).items
    return render(
        request,
        "notes/home.html",
        {"notes": session.get("notes", []), "info": session.info, "devices": devices},
    )


@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End every session of this person, on all devices."""
    get_session(request).logout_everywhere()
    return redirect("login")
