"""The admin's users, with what an operator needs when somebody lost a telephone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from openclaw_middleware.adapters.django import get_manager, get_session


class People(UserAdmin):
    actions = ("sign_out_everywhere",)

    @admin.action(description="Sign out everywhere", permissions=["change"])
    def sign_out_everywhere(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """End the sessions of these people in all three applications, on all devices."""
        manager = get_manager(request)
        count = sum(manager.revoke_user(user.pk) for user in users)
        messages.success(request, f"{count} sessions ended.")

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """A password set by an operator ends the sessions made with the old one."""
        response = super().user_change_password(request, id, form_url)
        if response.status_code == 302 and id == str(request.user.pk):
            get_session(request).logout_others()
        elif response.status_code == 302:
            get_manager(request).revoke_user(id)
        return response

    def save_model(self, request: HttpRequest, user: User, form: Any, change: bool) -> None:
        """Whoever may not sign in any more is signed out."""
        super().save_model(request, user, form, change)
        if change and not user.is_active:
            get_manager(request).revoke_user(user.pk)


admin.site.unregister(User)
admin.site.register(User, People)
