-- wrk's part: posts photos to a form's field "file", one after the other, and prints what came of it as JSON.
--
-- Arguments after wrk's own: distinct | repeated, a word that no other run has, the photos' paths.
-- The keys in CLASSIFIER_KEY, with spaces between them, are sent in turns.
-- "distinct": every request's picture has a tail of its own after the JPEG's end, so no two are the same bytes.

local HEAD = '--photo\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
  .. 'Content-Type: image/jpeg\r\n\r\n'
local END = '\r\n--photo--\r\n'
local TYPE = 'multipart/form-data; boundary=photo'

local photos, distinct, run = {}, false, ''
local senders = {} -- the headers of each
local sent = 0

function init(arguments)
  distinct, run = arguments[1] == 'distinct', arguments[2]
  for index = 3, #arguments do
    local file = assert(io.open(arguments[index], 'rb'))
    photos[#photos + 1] = HEAD .. file:read('*a')
    file:close()
  end
  for key in (os.getenv('CLASSIFIER_KEY') or ''):gmatch('%S+') do
    senders[#senders + 1] = { ['Content-Type'] = TYPE, ['Authorization'] = 'Bearer ' .. key }
  end
  if #senders == 0 then
    senders[1] = { ['Content-Type'] = TYPE }
  end
end

function request()
  sent = sent + 1
  local tail = distinct and (run .. '-' .. sent) or ''
  return wrk.format('POST', nil, senders[(sent - 1) % #senders + 1], photos[(sent - 1) % #photos + 1] .. tail .. END)
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
