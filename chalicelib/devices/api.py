"""HTTP routes for a user's own devices."""

from functools import partial

from chalicelib.core.models import DeviceId
from chalicelib.core.web import Call, Page, PageQuery, Routes, paging
from chalicelib.devices import wiring
from chalicelib.devices.errors import DeviceNotFound, TokenContested
from chalicelib.devices.models import Device, NewDevice

routes = Routes(__name__)
_PARAMS = {"device_id": DeviceId}


@routes.add(
    "PUT",
    "/api/devices/{device_id}",
    params=_PARAMS,
    body=NewDevice,
    answers={200: Device},
    raises=(TokenContested,),
)
def put_device(call: Call[NewDevice, None], device_id: str) -> Device:
    """Register a device for push under an id of your choice, or renew the registration.

    A token belongs to one user at a time: the last user to register the token. Register again at each start of the app,
    as Firebase advises. A device not registered again for as long as FCM keeps a token is forgotten.
    """
    return wiring.store().put(call.caller.account, device_id, call.body)


@routes.add("GET", "/api/devices", query=PageQuery, answers={200: Page[Device]})
def list_devices(call: Call[None, PageQuery]) -> str:
    """List your devices, ordered by id, without tokens."""
    fetch = partial(wiring.store().page, call.caller.account)
    return paging.cursors().render("devices", call.query, fetch, lambda device: device.device_id)


@routes.add("DELETE", "/api/devices/{device_id}", params=_PARAMS, answers={204: None}, raises=(DeviceNotFound,))
def remove_device(call: Call[None, None], device_id: str) -> None:
    """Unregister a device, so pushes to the device end. An app should unregister before signing out."""
    if not wiring.store().remove(call.caller.account, device_id):
        raise DeviceNotFound
