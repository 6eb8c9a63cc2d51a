//! Shared data and queues; APISIX has neither.

use super::memory::{give, read, read_name, write_word};
use super::{Answer, Ctx, Status, arg};

pub(super) fn get(
    c: &mut Ctx<'_>,
    key: u32,
    key_size: u32,
    out: u32,
    size: u32,
    cas: u32,
) -> Answer {
    let key = arg!(read_name(c, key, key_size));
    let options = &c.data().options;
    let Some((value, number)) = options.shared.read().get(&options.vm_id, key.as_bytes()) else {
        return Ok(Status::NotFound);
    };
    arg!(write_word(c, cas, number));
    give(c, &value, out, size)
}

pub(super) fn set(
    c: &mut Ctx<'_>,
    key: u32,
    key_size: u32,
    value: u32,
    size: u32,
    cas: u32,
) -> Answer {
    let key = arg!(read_name(c, key, key_size));
    let value = arg!(read(c, value, size));
    let options = &c.data().options;
    let done = options.shared.write().set(&options.vm_id, key.as_bytes(), value, cas);
    Ok(if done { Status::Ok } else { Status::CasMismatch })
}

pub(super) fn register_queue(c: &mut Ctx<'_>, name: u32, size: u32, out: u32) -> Answer {
    let name = arg!(read_name(c, name, size));
    let options = &c.data().options;
    let token = options.shared.write().register_queue(&options.vm_id, name.as_bytes());
    arg!(write_word(c, out, token));
    Ok(Status::Ok)
}

pub(super) fn resolve_queue(
    c: &mut Ctx<'_>,
    vm: u32,
    vm_size: u32,
    name: u32,
    size: u32,
    out: u32,
) -> Answer {
    let vm = arg!(read_name(c, vm, vm_size));
    let name = arg!(read_name(c, name, size));
    let token = c.data().options.shared.read().resolve_queue(&vm, name.as_bytes());
    let Some(token) = token else { return Ok(Status::NotFound) };
    arg!(write_word(c, out, token));
    Ok(Status::Ok)
}

pub(super) fn dequeue(c: &mut Ctx<'_>, token: u32, out: u32, size: u32) -> Answer {
    let item = match c.data().options.shared.write().queue(token) {
        None => return Ok(Status::NotFound),
        Some(queue) => queue.pop_front(),
    };
    match item {
        Some(item) => give(c, &item, out, size),
        None => Ok(Status::Empty),
    }
}

pub(super) fn enqueue(c: &mut Ctx<'_>, token: u32, value: u32, size: u32) -> Answer {
    let value = arg!(read(c, value, size));
    match c.data().options.shared.write().queue(token) {
        None => return Ok(Status::NotFound),
        Some(queue) => queue.push_back(value),
    }
    Ok(Status::Ok)
}
