//! Operating system errors caused by the platform itself: they say nothing about the destination.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use domain::outcome::Lack;
use rustix::io::Errno;

/// The lack of this machine or process reported by `error`, if any.
pub fn of_io(error: &io::Error) -> Option<Lack> {
    if error.kind() == io::ErrorKind::OutOfMemory {
        return Some(Lack::Memory);
    }
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(Lack::FileDescriptors),
        Errno::NOMEM | Errno::NOBUFS => Some(Lack::Memory),
        _ => None,
    }
}

/// The same for a failed connection to `address`. The system reports one error both when no local port is free and when
/// no local address can reach the destination (IPv6 without IPv6); only the first is a lack.
pub fn of_connecting(error: &io::Error, address: SocketAddr) -> Option<Lack> {
    if error.kind() != io::ErrorKind::AddrNotAvailable {
        return of_io(error);
    }
    match has_source_for(address) {
        Ok(true) => Some(Lack::LocalPorts),
        Ok(false) => None,
        Err(error) => of_io(&error),
    }
}

/// Whether the system has a source address to send from. A UDP socket chooses one without sending anything, and has its
/// own ports.
fn has_source_for(address: SocketAddr) -> io::Result<bool> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = match UdpSocket::bind((any, 0)) {
        Ok(socket) => socket,
        Err(error) if of_io(&error).is_some() => return Err(error),
        Err(_) => return Ok(false),
    };
    Ok(socket.connect(address).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(errno: Errno, expect: Option<Lack>) {
        assert_eq!(of_io(&errno.into()), expect, "{errno:?}");
    }

    #[test]
    fn exhausted_local_resources_are_ours() {
        check(Errno::MFILE, Some(Lack::FileDescriptors));
        check(Errno::NFILE, Some(Lack::FileDescriptors));
        check(Errno::NOMEM, Some(Lack::Memory));
        check(Errno::NOBUFS, Some(Lack::Memory));
        for theirs in [Errno::CONNREFUSED, Errno::CONNRESET, Errno::TIMEDOUT, Errno::HOSTUNREACH, Errno::PIPE] {
            check(theirs, None);
        }
    }

    #[test]
    fn a_missing_local_port_differs_from_a_missing_address() {
        let none_left = io::Error::from(Errno::ADDRNOTAVAIL);
        let reachable = "127.0.0.1:9".parse().unwrap();
        assert_eq!(of_connecting(&none_left, reachable), Some(Lack::LocalPorts));
        // Link-local without an interface: nothing can be sent from anywhere.
        let unreachable = "[fe80::1]:9".parse().unwrap();
        assert_eq!(of_connecting(&none_left, unreachable), None);
        assert_eq!(of_connecting(&Errno::CONNREFUSED.into(), reachable), None);
    }
}
