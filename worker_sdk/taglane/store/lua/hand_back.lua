-- hand_back: return runs that a worker holds and did not execute, uncounted, to where they came from.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 wait: '' for the head of the queue, else ms to wait and then the tail  2.. two a run: id, token
-- Writes run, leases, held, queue or delayed; rings the tag. Returns how many went back.
local function hand_back(keys, args)
    local P, t, count = keys[1], now(), 0
    for i = #args - 1, 2, -2 do -- the last first: each goes to the head, so they keep their order
        local run = load_run(P, args[i])
        if run and not ENDED[run.state] and run.token == args[i + 1] then
            release(P, run)
            redis.call('HINCRBY', run_key(P, run.id), 'attempts', -1)
            redis.call('HDEL', run_key(P, run.id), 'started')
            if args[1] == '' then
                redis.call('HSET', run_key(P, run.id), 'state', 'queued')
                push(P, run.id, run.tag, run.step, true)
            else
                redis.call('HSET', run_key(P, run.id), 'state', 'scheduled')
                delay(P, run.id, run.tag, t + tonumber(args[1]))
            end
            count = count + 1
        end
    end
    return count
end

redis.register_function{function_name = 'taglane_hand_back', callback = hand_back, flags = {'allow-oom'}}
