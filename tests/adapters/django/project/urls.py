from __future__ import annotations

from django.contrib import admin
from django.urls import path

from . import aviews, views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("public", views.public),
    path("read", views.read),
    path("write", views.write),
    path("login", views.sign_in),
    path("logout", views.sign_out),
    path("whoami", views.whoami),
    path("run", views.run),
    path("aread", aviews.read),
    path("awrite", aviews.write),
    path("alogin", aviews.sign_in),
    path("alogout", aviews.sign_out),
    path("awhoami", aviews.whoami),
    path("arun", aviews.run),
]
