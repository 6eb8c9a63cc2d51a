//! Reading and writing the module's memory.

use super::{Answer, Ctx, Status, arg};

/// The bytes at `at`.
pub(super) fn read(c: &Ctx<'_>, at: u32, size: u32) -> Result<Vec<u8>, Status> {
    let memory = c.data().memory.ok_or(Status::InvalidMemoryAccess)?;
    let (start, end) = range(at, size)?;
    memory.data(c).get(start..end).map(<[u8]>::to_vec).ok_or(Status::InvalidMemoryAccess)
}

/// Reads a name or path, and says it in the trace.
pub(super) fn read_name(c: &mut Ctx<'_>, at: u32, size: u32) -> Result<String, Status> {
    let name = String::from_utf8_lossy(&read(c, at, size)?).into_owned();
    c.data_mut().what = name.replace('\0', ".");
    Ok(name)
}

pub(super) fn write(c: &mut Ctx<'_>, at: u32, bytes: &[u8]) -> Result<(), Status> {
    let memory = c.data().memory.ok_or(Status::InvalidMemoryAccess)?;
    let size = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
    let (start, end) = range(at, size)?;
    let target = memory.data_mut(&mut *c).get_mut(start..end).ok_or(Status::InvalidMemoryAccess)?;
    target.copy_from_slice(bytes);
    Ok(())
}

pub(super) fn write_word(c: &mut Ctx<'_>, at: u32, word: u32) -> Result<(), Status> {
    write(c, at, &word.to_le_bytes())
}

/// Gives the module `bytes`, in memory it allocates for them, and the address and size through
/// `out` and `out_size`. Of nothing, Envoy gives a null address, APISIX only the size.
pub(super) fn give(c: &mut Ctx<'_>, bytes: &[u8], out: u32, out_size: u32) -> Answer {
    c.data_mut().value = Some(bytes.to_vec());
    let size = arg!(u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess));
    arg!(write_word(c, out_size, size));
    if bytes.is_empty() {
        if c.data().envoy() {
            arg!(write_word(c, out, 0));
        }
        return Ok(Status::Ok);
    }
    let Some(allocate) = c.data().allocate.clone() else {
        return Ok(Status::InternalFailure);
    };
    let at = allocate.call(&mut *c, size)?;
    if at == 0 {
        return Ok(Status::InvalidMemoryAccess);
    }
    arg!(write(c, at, bytes));
    arg!(write_word(c, out, at));
    Ok(Status::Ok)
}

fn range(at: u32, size: u32) -> Result<(usize, usize), Status> {
    let end = at.checked_add(size).ok_or(Status::InvalidMemoryAccess)?;
    let word = |n: u32| usize::try_from(n).map_err(|_| Status::InvalidMemoryAccess);
    Ok((word(at)?, word(end)?))
}
