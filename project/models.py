"""The demo's table, which its flow loads."""

from __future__ import annotations

from django.db import models


class Airport(models.Model):
    """An airport of the USA, from a valid row of `airports.csv`."""

    code = models.CharField(max_length=4, primary_key=True)
    name = models.CharField(max_length=100)
    city = models.CharField(max_length=100)
    state = models.CharField(max_length=2, help_text="Postal code.")
    latitude = models.FloatField(help_text="Degrees north.")
    longitude = models.FloatField(help_text="Degrees east.")

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(latitude__range=(-90, 90), longitude__range=(-180, 180)),
                name="coordinates_are_degrees",
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}, {self.city} {self.state}"
