"""Users whose primary key is a text, as sign-ins of other frameworks often have."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models


class Person(AbstractBaseUser):
    name = models.CharField(max_length=40, primary_key=True)
    objects = BaseUserManager()
    USERNAME_FIELD = "name"
    REQUIRED_FIELDS: ClassVar = []
