-- retry: end a run's lease and let it wait for its next attempt, in one step. A task that replaces itself by another
-- comes through here too: so the next attempt may ask for another task and tag. One that somebody has asked to cancel
-- has no next attempt. The attempt that ends stays on the run's record, with what it failed of; it has begun in time, so
-- the run does not expire any more.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 id  2 token  3 at: '' now, '+ms' from now, 'ms' then  4 envelope of the next attempt
--       5 why, JSON, '' for none  6 task  7 tag  8 step, '' for the one it has
--       9 how long the attempt ran, ms; '' where it is not known
-- Writes run, leases, held, cancels, delayed or queue, expiring, ledger, job-ledger; rings the
-- tag. Returns 1, or 0 when the run is not this worker's any more.
local function decoded(text)
    local read, what = pcall(cjson.decode, text)
    return read and type(what) == 'table' and what or nil
end

-- What `why` says in words, `Type: message` of an error as Celery stores it, and its traceback.
local function reason(why)
    if why == '' then
        return nil
    end
    local what = decoded(why)
    if not what then
        return why
    end
    local error_, traceback = what.e, type(what.tb) == 'string' and what.tb or nil
    if type(error_) ~= 'table' then
        return error_ ~= nil and error_ ~= cjson.null and tostring(error_) or nil, traceback
    end
    local message = error_.exc_message
    if type(message) == 'table' then
        local parts = {}
        for i, part in ipairs(message) do
            parts[i] = (type(part) == 'table' or part == cjson.null) and cjson.encode(part) or tostring(part)
        end
        message = table.concat(parts, ', ')
    end
    local kind = type(error_.exc_type) == 'string' and error_.exc_type or 'Error'
    if message == nil or message == cjson.null or message == '' then
        return kind, traceback
    end
    return kind .. ': ' .. tostring(message), traceback
end

local function retry(keys, args)
    local P, t = keys[1], now()
    local run = load_run(P, args[1])
    if not run or ENDED[run.state] or run.token ~= args[2] then
        return 0
    end
    local ran = tonumber(args[9])
    if ran then
        redis.call('HSET', run_key(P, run.id), 'started_at', int(t - ran))
    end
    note_try(P, t, run, 'retry', reason(args[5]))
    local began = tonumber(redis.call('HGET', run_key(P, run.id), 'started_at'))
    if began then
        book_attempt(run, began, t - began)
    end
    release(P, run, true)
    if not may_wait(P, t, run, 'cancelled instead of its next attempt') then
        return 1
    end
    book(run.job, 'retried')
    local at, step = instant(t, args[3]) or t, args[8] ~= '' and args[8] or run.step
    local fields = {'state', at > t and 'retrying' or 'queued', 'queued_at', int(at), 'envelope', args[4],
        'task', args[6], 'tag', args[7], 'step', step}
    if args[5] ~= '' then
        fields[13], fields[14] = 'result', args[5]
    end
    redis.call('HSET', run_key(P, run.id), unpack(fields))
    if at > t then
        delay(P, run.id, args[7], at)
    else
        push(P, run.id, args[7], step)
    end
    return 1
end

redis.register_function{function_name = 'taglane_retry', callback = booking(retry), flags = {'allow-oom'}}
