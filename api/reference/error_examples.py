"""One real sentence for each error of ``api.errors``, as OpenAPI shows it. A test keeps the table whole."""

from __future__ import annotations

from api import errors

DETAIL: dict[type[errors.ApiError], str] = {
    errors.MissingFile: "the request has no file in the field 'file' (or 'image', or 'files')",
    errors.TooManyPictures: "one picture is taken here, and the request has 2",
    errors.BrokenForm: "the form can't be read: Unexpected end of multipart stream (parser closed)",
    errors.InvalidParameter: "top_k must be a whole number from 1 to 10",
    errors.TooLarge: "the picture has 30000x30000 pixels; at most 50000000 are taken",
    errors.NotAnImage: (
        "the file is not a picture in a supported format (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC)"
    ),
    errors.Undecodable: "the file is damaged, cut short or no picture of a known format",
    errors.NoSuchPicture: "there is no such picture here; it may have been removed since",
    errors.NoSuchJob: "there is no such job, or it has expired",
    errors.JobEnded: "the job is done and can't be cancelled any more",
    errors.KeyReusedForAnother: "this Idempotency-Key was sent before with another picture or other parameters",
    errors.AdminClosed: "set ADMIN_API_KEY to open the admin pages",
    errors.WrongAdminKey: "this page needs the admin key",
    errors.Overloaded: "the service is busy: its queue is too long for this request",
    errors.NoWorker: "no worker is ready",
    errors.BackendDown: "Redis does not answer",
    errors.DeadlineExceeded: "no answer came within 30 seconds",
    errors.WorkerFault: "the workers could not classify this picture; it was given up",
}
