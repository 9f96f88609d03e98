-- What wrk sends, and its result as one line of JSON. Arguments after the address: METHOD, bytes of body, path prefix of names, how many names in turn (without it they are random).
function init(args)
  wrk.method = args[1] or "GET"
  local bytes = tonumber(args[2] or "0")
  if bytes > 0 then
    wrk.body = '{"text":"' .. string.rep("x", bytes - 11) .. '"}'
    wrk.headers["Content-Type"] = "application/json"
  end
  if args[3] ~= nil then
    local prefix = args[3]
    local count = tonumber(args[4] or "0")
    local next = 0
    math.randomseed(os.time())
    request = function()
      if count == 0 then return wrk.format(nil, prefix .. string.format("%x", math.random(0, 2147483647))) end
      next = (next + 1) % count
      return wrk.format(nil, prefix .. next)
    end
  end
end

function done(summary, latency)
  io.write(string.format(
    '\nRESULT {"requests":%d,"bytes":%d,"durationMicroseconds":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d,"p50":%d,"p99":%d,"p999":%d,"max":%d}\n',
    summary.requests, summary.bytes, summary.duration, summary.errors.connect, summary.errors.read, summary.errors.write,
    summary.errors.timeout, summary.errors.status, latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
