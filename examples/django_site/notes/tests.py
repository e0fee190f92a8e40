"""This project's own tests, as any author of a Django application would write them.

python manage.py test
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client, TestCase, TransactionTestCase

from openclaw_middleware.adapters.django import get_manager
from openclaw_middleware.testing import login, session_of


class NotesTest(TestCase):
    def setUp(self) -> None:
        self.ada = User.objects.create_user("ada", password="counting rhymes")

    def test_notes_need_a_sign_in(self) -> None:
        self.assertRedirects(self.client.get("/"), "/login?next=/")
        form = {"username": "ada", "password": "counting rhymes"}
        self.assertRedirects(self.client.post("/login", form), "/")

    def test_notes_are_kept(self) -> None:
        self.client.force_login(self.ada)
        self.client.post("/", {"note": "milk"})
        self.client.post("/", {"note": "bread"})
        page = self.client.get("/")
        self.assertContains(page, "milk")
        self.assertContains(page, "bread")
        assert self.client.session["notes"] == ["milk", "bread"]

    def test_a_session_can_be_prepared(self) -> None:
        login(self.client, self.ada.pk, notes=["tea"])
        self.assertContains(self.client.get("/"), "tea")
        self.client.post("/", {"note": "cake"})
        assert session_of(self.client)["notes"] == ["tea", "cake"]

    def test_signing_out_is_final(self) -> None:
        self.client.force_login(self.ada)
        stolen = Client()
        stolen.cookies.load(self.client.cookies.output(header=""))
        self.assertContains(stolen.get("/"), "ada")
        self.client.post("/logout")
        self.assertRedirects(stolen.get("/"), "/login?next=/")

    def test_signing_out_everywhere(self) -> None:
        phone = Client()
        phone.force_login(self.ada)
        self.client.force_login(self.ada)
        self.assertContains(self.client.get("/"), "2 devices")
        self.client.post("/everywhere")
        self.assertRedirects(phone.get("/"), "/login?next=/")
        assert get_manager().sessions_of(self.ada.pk).items == ()


class AdminTest(TestCase):
    def test_sign_in_and_out_with_csrf_checks(self) -> None:
        User.objects.create_superuser("root", password="a long one")
        client = Client(enforce_csrf_checks=True)
        page = client.get("/admin/login/")
        form = {"username": "root", "password": "a long one", "next": "/admin/"}
        assert client.post("/admin/login/", form).status_code == 403
        form["csrfmiddlewaretoken"] = str(page.context["csrf_token"])
        self.assertRedirects(client.post("/admin/login/", form), "/admin/")
        page = client.get("/admin/")
        self.assertContains(page, "root")
        token = {"csrfmiddlewaretoken": str(page.context["csrf_token"])}
        self.assertRedirects(client.post("/admin/logout/", token), "/", target_status_code=302)
        assert client.get("/admin/").status_code == 302


class WithoutTransactionTest(TransactionTestCase):
    def test_a_sign_in_holds(self) -> None:
        User.objects.create_user("bob", password="counting rhymes")
        self.client.login(username="bob", password="counting rhymes")
        self.assertContains(self.client.get("/"), "bob")

    async def test_async_client(self) -> None:
        bob = await User.objects.acreate_user("bob", password="counting rhymes")
        await self.async_client.aforce_login(bob)
        page = await self.async_client.get("/")
        self.assertContains(page, "bob")
