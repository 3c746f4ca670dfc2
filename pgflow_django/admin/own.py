"""What Django's admin does for every model by itself, and the admin of flows and runs does not."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

#: What Django's filters of a field, and those of its dates, add to its name.
_OF_FIELDS = ("", "__exact", "__in", "__isnull", "__isempty", "__gte", "__lt", "__id__exact")
_OF_DATES = ("__year", "__month", "__day")
#: PostgreSQL's text has no such character: to look for it finds nothing.
_NUL = "\0"
#: Rows that a long list counts and pages through; filters find older ones.
_COUNTED = 10_000


class OwnList(ChangeList):
    """A list of what may be seen, which finds nothing where it is asked for what no text holds."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Give the rows that the filters and the search keep."""
        found = super().get_queryset(request, *args, **kwargs)
        asked = (text for texts in self.filter_params.values() for text in texts)
        return found.none() if any(_NUL in text for text in asked) else found

    def get_results(self, request: HttpRequest) -> None:
        """Find the rows of the page, without those that a site's hook refuses one by one."""
        super().get_results(request)
        may_see = self.model_admin.has_view_permission
        self.result_list = [row for row in self.result_list if may_see(request, row)]


class LimitedPaginator(Paginator):  # type: ignore[type-arg]  # Django's has no argument
    """Pages of a table that may have very many rows, which nobody wants to wait for counting."""

    @cached_property
    def count(self) -> int:
        """Count the rows, but not beyond a limit."""
        return int(self.object_list.values("pk")[:_COUNTED].count())  # type: ignore[attr-defined]


class OwnAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's has no argument
    """An admin whose objects are seen and changed on pages of its own.

    Django's views of one object know neither what these pages ask nor what they hide, and they take
    an id in any spelling: none of them is there. Its list would filter by any column.
    """

    #: What is kept of the views that Django has for every model.
    kept_views: tuple[str, ...] = ("changelist",)

    def get_urls(self) -> list[Any]:
        """Give the addresses of the views that are kept."""
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        kept = {f"{prefix}{view}" for view in self.kept_views}
        return [url for url in super().get_urls() if url.name in kept]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Give the list that takes any query."""
        return OwnList

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Allow what a filter of the list asks for: other lookups read a column letter by letter.

        A site's own filter, whose parameters have other names than those of Django's, is named by
        overriding this.
        """
        allowed = {f"{self.date_hierarchy}{end}" for end in _OF_DATES}
        for each in self.get_list_filter(request):
            if isinstance(each, type):
                allowed.add(getattr(each, "parameter_name", ""))
            else:
                field = each[0] if isinstance(each, tuple | list) else each
                name = getattr(field, "name", field)
                allowed.update(f"{name}{end}" for end in _OF_FIELDS)
        return lookup in allowed

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Give the object of this key: an address that names another field is not asked by it."""
        return super().get_object(request, object_id)

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Give what a search looks at; models of ours have no forms that complete names by it."""
        if request.GET.get("app_label") == self.opts.app_label:
            return ()
        return super().get_search_fields(request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find nothing where a site's forms complete what no text can hold."""
        if _NUL in search_term:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Do an action with the rows that are marked; what can be no id of one marks none."""
        data = request.POST.copy()
        marked = data.getlist(ACTION_CHECKBOX_NAME)
        data.setlist(ACTION_CHECKBOX_NAME, [text for text in marked if self._may_be_id(text)])
        request.POST = data  # type: ignore[assignment]
        return super().response_action(request, queryset, *args, **kwargs)

    def _may_be_id(self, text: str) -> bool:
        try:
            self.opts.pk.to_python(text)
        except ValidationError:
            return False
        return _NUL not in text


class LookedAt:
    """For the admin of rows that the engine alone makes, changes and removes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Runs are started from a flow's page; workers register themselves."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only the engine changes them."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Old runs are removed by ``manage.py pruneruns``, workers when they end or are lost."""
        return False
