-- wrk's part: posts photos to a form's field "file", one after the other, and prints what came of it as JSON.
--
-- Arguments after wrk's own: distinct | repeated, a word that no other run has, the photos' paths.
-- The variable BENCH_KEY has the key that is sent, if any.
-- "distinct": every request's picture has a tail of its own after the JPEG's end, so no two are the same bytes.

local HEAD = '--photo\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
  .. 'Content-Type: image/jpeg\r\n\r\n'
local END = '\r\n--photo--\r\n'
local HEADERS = { ['Content-Type'] = 'multipart/form-data; boundary=photo', ['X-API-Key'] = os.getenv('BENCH_KEY') }

local photos, distinct, run = {}, false, ''
local sent = 0

function init(arguments)
  distinct, run = arguments[1] == 'distinct', arguments[2]
  for index = 3, #arguments do
    local file = assert(io.open(arguments[index], 'rb'))
    photos[#photos + 1] = HEAD .. file:read('*a')
    file:close()
  end
end

function request()
  sent = sent + 1
  local tail = distinct and (run .. '-' .. sent) or ''
  return wrk.format('POST', nil, HEADERS, photos[(sent - 1) % #photos + 1] .. tail .. END)
end

-- Times in microseconds, as wrk has them.
function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"duration_us": %d, "requests": %d, "unanswered": %d, "refused": %d,'
      .. ' "p50_us": %d, "p90_us": %d, "p99_us": %d, "max_us": %d}\n',
    summary.duration, summary.requests, errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max
  ))
end
