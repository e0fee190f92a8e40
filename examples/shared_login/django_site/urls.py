"""The site's addresses; the prefix is the front's."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("", views.index),
    path("me", views.me),
    path("sign-in", views.sign_in),
    path("sign-out", views.sign_out),
    path("visit", views.visit),
    path("password", views.ChangePassword.as_view(), name="password"),
    # The admin's own page for it would end the sessions in Django only.
    path("admin/password_change/", views.ChangePassword.as_view()),
    path("admin/", admin.site.urls),
]
