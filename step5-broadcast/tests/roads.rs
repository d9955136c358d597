//! Which promises of this step the ring keeps, which it breaks, and why.

use testkit::{Chat, roads};

roads! {
    ring: Chat::example(5, env!("CARGO_BIN_EXE_step5-broadcast"), "ring"),
    keeps: [
        a_client_reports_the_broken_connection,
        a_partial_line_is_buffered,
        a_split_character_survives,
        chunk_boundaries_do_not_matter,
        invalid_utf8_is_replaced,
        crlf_ends_a_line_and_blank_lines_are_ignored,
        only_lines_over_4096_bytes_are_refused,
        our_client_refuses_only_lines_over_4096_bytes,
        exit_leaves,
        lines_similar_to_exit_do_not_leave,
        exit_without_a_line_end_leaves,
        the_last_line_needs_no_line_end,
        piped_lines_all_arrive,
        input_that_ends_at_once_is_delivered,
        a_half_closed_connection_is_drained,
        a_reset_in_mid_line_causes_one_leave_notice,
        a_port_in_use_and_a_missing_server_are_reported,
        host_names_and_ipv6_addresses_work,
        a_closed_stdout_ends_the_client,
        a_lost_connection_is_an_error,
        a_client_waits_one_second_for_the_goodbye,
        no_client_can_impersonate_another,
        a_closed_stdout_does_not_stop_the_server,
        telnet_negotiation_is_removed,
        a_client_reports_the_refusal,
        a_rate_limited_client_that_disconnects_is_removed,
    ],
    keeps_alone: [
        an_unterminated_line_ends_the_connection,
        a_reset_during_a_write_causes_one_leave_notice,
        closed_connections_leak_no_threads_or_descriptors,
        entering_without_reading_needs_little_memory,
    ],
    keeps_slowly: [
        short_lines_over_the_rate_need_little_memory,
        a_thousand_rooms_need_little_memory,
    ],
    breaks: [
        a_flood_does_not_delay_other_senders:
            "The ring overwrites what a client has not received, and no sender is slowed down.",
        all_clients_receive_lines_in_one_order:
            "The ring overwrites what a client has not received, and no sender is slowed down.",
        a_reader_of_two_megabytes_a_second_stays_connected:
            "The ring overwrites what a client has not received, and no sender is slowed down.",
        a_short_stall_costs_no_line:
            "The ring overwrites what a client has not received, and no sender is slowed down.",
        short_stalls_after_a_long_one_cost_no_line:
            "The ring overwrites what a client has not received, and no sender is slowed down.",
        a_client_that_pauses_receives_the_missed_count:
            "`Lagged(n)` counts the client's own lines, too, and here the client gets no notice.",
        a_steady_reader_receives_the_missed_count:
            "`Lagged(n)` counts the client's own lines, too, and here the client gets no notice.",
        a_lagging_client_receives_the_missed_count_at_shutdown:
            "`Lagged(n)` counts the client's own lines, too, and here the client gets no notice.",
        a_client_that_never_reads_is_disconnected:
            "No write has a deadline.",
        a_client_that_requests_without_reading_is_disconnected:
            "No write has a deadline.",
        a_thousand_joins_are_coalesced_into_few_notices:
            "Each join is a notice of its own.",
        a_rename_is_announced:
            "There are no rooms, no names and no lists.",
        invalid_names_are_refused:
            "There are no rooms, no names and no lists.",
        a_name_has_one_owner:
            "There are no rooms, no names and no lists.",
        a_private_message_reaches_only_its_recipient:
            "There are no rooms, no names and no lists.",
        a_rename_notice_arrives_in_order:
            "There are no rooms, no names and no lists.",
        the_name_option_requests_the_name:
            "There are no rooms, no names and no lists.",
        a_leave_is_announced_before_the_same_name_joins:
            "There are no rooms, no names and no lists.",
        joins_equal_leaves:
            "There are no rooms, no names and no lists.",
        rooms_are_isolated:
            "There are no rooms, no names and no lists.",
        rooms_are_bounded:
            "There are no rooms, no names and no lists.",
        a_slow_room_does_not_delay_another_room:
            "There are no rooms, no names and no lists.",
        a_lagging_client_that_changes_rooms_blocks_no_room:
            "There are no rooms, no names and no lists.",
        requests_in_a_large_room_do_not_delay_another_room:
            "There are no rooms, no names and no lists.",
        messages_to_a_lagging_client_are_queued:
            "There are no rooms, no names and no lists.",
        control_characters_are_replaced:
            "The server has no console and handles no signal.",
        history_and_new_lines_have_no_gap_or_repeat:
            "The server has no console and handles no signal.",
        a_port_can_be_used_again:
            "The server has no console and handles no signal.",
        a_client_ends_when_the_server_ends:
            "The server has no console and handles no signal.",
        the_operator_can_read_and_send:
            "The server has no console and handles no signal.",
        the_operators_last_line_arrives_before_the_goodbye:
            "The server has no console and handles no signal.",
        the_operators_exit_ends_the_server:
            "The server has no console and handles no signal.",
        the_operator_can_change_rooms_with_a_full_stdout:
            "The server has no console and handles no signal.",
        a_full_stdout_costs_clients_no_line:
            "The server has no console and handles no signal.",
        a_server_runs_without_a_console:
            "The server has no console and handles no signal.",
        a_background_server_serves_without_a_keyboard:
            "The server has no console and handles no signal.",
        a_server_continues_in_the_background:
            "The server has no console and handles no signal.",
        sigint_and_sigterm_end_the_server_gracefully:
            "The server has no console and handles no signal.",
        a_second_sigint_ends_the_server_at_once:
            "The server has no console and handles no signal.",
        a_client_over_the_limit_is_refused:
            "There is no limit of connections.",
        a_slot_is_free_when_the_socket_is_closed:
            "There is no limit of connections.",
        sessions_that_linger_count_as_connections:
            "There is no limit of connections.",
        a_server_survives_running_out_of_file_descriptors:
            "An error of `accept` ends the server.",
        a_client_over_its_rate_is_delayed_not_dropped:
            "There is no limit of lines per second.",
        an_invalid_log_filter_is_reported:
            "There is no log.",
        a_full_stderr_does_not_block_the_server:
            "There is no log.",
        a_malformed_address_shows_the_form:
            "`main` prints the `Debug` form of an error.",
        an_unusable_address_reports_the_os_error:
            "`main` prints the `Debug` form of an error.",
        bad_arguments_exit_with_2:
            "A missing argument is an index out of bounds: a panic, and exit code 101.",
        help_shows_the_default_address:
            "A missing argument is an index out of bounds: a panic, and exit code 101.",
    ],
    breaks_slowly: [
        slow_readers_cost_other_clients_no_line:
            "The ring overwrites what a client has not received, and no sender is slowed down.",
        twenty_floods_reach_every_reader:
            "The ring overwrites what a client has not received, and no sender is slowed down.",
        two_hundred_floods_reach_every_reader:
            "The ring overwrites what a client has not received, and no sender is slowed down.",
        a_flood_is_slowed_to_the_pace_of_its_readers:
            "A sender never waits, so nothing slows it down to the pace of its readers.",
        two_thousand_senders_do_not_starve_another_client:
            "A task reads up to 512 KiB before the next of the 2,000 has its turn.",
    ],
    unstable: [
        clients_that_send_after_exit_delay_no_other_client:
            "On a busy machine, 1 in 100 replies takes more than 50 ms.",
        slow_readers_cost_no_line_with_five_senders:
            "Lines are lost, and then the test waits for a task that no longer reads.",
        clients_that_send_before_they_read_do_not_deadlock:
            "So many lines are lost that the socket buffers do not fill up.",
        a_burst_of_connections_is_answered:
            "The backlog of 1024 is enough if the server is fast.",
        ten_thousand_idle_clients_are_served:
            "It depends on the limit of file descriptors, which the server does not raise.",
    ],
}

const FLOOD: usize = 20_000;

/// Sends many lines in one write. Returns how many of them arrive at a client that keeps reading.
///
/// The sender's task has more to read than the ring holds before any other task has its turn.
fn received_in_a_flood(chat: &Chat) -> usize {
    let server = chat.server();
    let mut reader = server.peer();
    let mut sender = server.peer();
    sender.send((0..FLOOD).map(|n| format!("{n}\n")).collect::<String>());
    sender.send_line("/exit");
    let left = format!("* {} left", sender.name);
    let (lines, _) = reader.lines.until(&left, |line| line == left);
    let said = format!("{}: ", sender.name);
    lines.iter().filter(|line| line.starts_with(&said)).count()
}

#[test]
fn a_client_that_keeps_reading_loses_lines_of_the_ring_and_none_of_step_5() {
    let binary = env!("CARGO_BIN_EXE_step5-broadcast");
    let ring = received_in_a_flood(&Chat::example(5, binary, "ring"));
    assert!(ring < FLOOD / 2, "{ring} of {FLOOD} lines");
    assert_eq!(received_in_a_flood(&Chat::new(5, binary)), FLOOD);
}
