//! The window of a room: how many of its lines are in flight.

/// What a room's clients have sent and received.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    pub(crate) senders: u64,
    pub(crate) receivers: u64,
    /// Lines that were given to the senders.
    pub(crate) sent: u64,
    /// Deliveries to receivers that are still connected.
    pub(crate) read: u64,
    /// Deliveries that the server has reported as missed.
    pub(crate) told: u64,
    /// Lines that will not arrive any more, so that the window does not wait for them.
    pub(crate) written_off: u64,
}

impl Room {
    /// Lines that the average receiver has yet to receive. What it was told it missed will not
    /// arrive.
    pub(crate) fn in_flight(&self) -> u64 {
        let delivered = (self.read + self.told) / self.receivers.max(1);
        self.sent.saturating_sub(delivered + self.written_off)
    }

    /// Deliveries to connected receivers that have not arrived.
    pub(crate) fn missing(&self) -> u64 {
        (self.sent * self.receivers).saturating_sub(self.read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_reported_as_missed_leave_the_window_but_stay_missing() {
        let room = Room { senders: 1, receivers: 10, sent: 100, read: 700, ..Room::default() };
        assert_eq!((room.in_flight(), room.missing()), (30, 300));
        let room = Room { told: 300, ..room };
        assert_eq!((room.in_flight(), room.missing()), (0, 300));
    }

    #[test]
    fn lines_that_are_written_off_leave_the_window() {
        let room = Room { receivers: 10, sent: 100, read: 700, written_off: 30, ..Room::default() };
        assert_eq!(room.in_flight(), 0);
    }
}
