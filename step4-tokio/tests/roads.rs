//! Which promises of this step the naive version keeps, which it breaks, and why.
//!
//! What takes long to test runs with `cargo test -p step4-tokio --test roads -- --ignored`.

use testkit::{Chat, roads};

roads! {
    naive_tokio: Chat::example(4, env!("CARGO_BIN_EXE_step4-tokio"), "naive_tokio"),
    keeps: [
        a_partial_line_is_buffered,
        a_split_character_survives,
        chunk_boundaries_do_not_matter,
        exit_without_a_line_end_leaves,
        the_last_line_needs_no_line_end,
        a_half_closed_connection_is_drained,
        a_port_in_use_and_a_missing_server_are_reported,
        a_closed_stdout_does_not_stop_the_server,
    ],
    keeps_alone: [],
    keeps_slowly: [
        a_flood_does_not_delay_other_senders,
        a_reader_of_two_megabytes_a_second_stays_connected,
        a_short_stall_costs_no_line,
    ],
    breaks: [
        invalid_utf8_is_replaced:
            "`lines` fails at bytes that are not UTF-8, and `?` ends the client's task.",
        telnet_negotiation_is_removed:
            "`lines` fails at bytes that are not UTF-8, and `?` ends the client's task.",
        control_characters_are_replaced:
            "Text is relayed as it is, escape sequences included.",
        no_client_can_impersonate_another:
            "After a carriage return, the rest of the text can overwrite the name.",
        crlf_ends_a_line_and_blank_lines_are_ignored:
            "Nothing parses a line, so blank lines are relayed.",
        exit_leaves:
            "Only `/exit` itself leaves. With a space behind it, it is an unknown command.",
        lines_similar_to_exit_do_not_leave:
            "A second slash does not quote the first: `//exit` is an unknown command.",
        only_lines_over_4096_bytes_are_refused:
            "`lines` has no limit.",
        our_client_refuses_only_lines_over_4096_bytes:
            "`lines` has no limit.",
        an_unterminated_line_ends_the_connection:
            "`lines` collects 100 MiB in memory while it waits for a newline.",
        a_reset_in_mid_line_causes_one_leave_notice:
            "`?` ends the task of a lost client, which stays in the map.",
        closed_connections_leak_no_threads_or_descriptors:
            "`?` ends the task of a lost client, which stays in the map.",
        a_client_over_the_limit_is_refused:
            "Nothing counts connections.",
        a_slot_is_free_when_the_socket_is_closed:
            "Nothing counts connections.",
        sessions_that_linger_count_as_connections:
            "Nothing counts connections.",
        a_burst_of_connections_is_answered:
            "Nothing counts connections.",
        a_server_survives_running_out_of_file_descriptors:
            "An error of `accept` ends the server.",
        a_client_that_never_reads_is_evicted:
            "`write_all` waits with the lock held: one client that does not read stops the room.",
        clients_that_send_before_they_read_do_not_deadlock:
            "`write_all` waits with the lock held: one client that does not read stops the room.",
        sigint_and_sigterm_end_the_server_gracefully:
            "Nothing handles signals, so the process dies without a goodbye.",
        a_second_sigint_ends_the_server_at_once:
            "Nothing handles signals, so the process dies without a goodbye.",
        a_server_runs_without_a_console:
            "Nothing handles signals, so the process dies without a goodbye.",
        a_background_server_serves_without_a_keyboard:
            "Nothing handles signals, so the process dies without a goodbye.",
        a_server_continues_in_the_background:
            "Nothing handles signals, so the process dies without a goodbye.",
        the_operators_exit_ends_the_server:
            "Nothing reads the server's keyboard or prints the chat.",
        the_operator_can_read_and_send:
            "Nothing reads the server's keyboard or prints the chat.",
        the_operators_last_line_arrives_before_the_goodbye:
            "Nothing reads the server's keyboard or prints the chat.",
        a_port_can_be_used_again:
            "Nothing reads the server's keyboard or prints the chat.",
        a_client_ends_when_the_server_ends:
            "Nothing reads the server's keyboard or prints the chat.",
        a_full_stdout_costs_clients_no_line:
            "Nothing reads the server's keyboard or prints the chat.",
        a_closed_stdout_ends_the_client:
            "`println!` panics in a task, and the client waits for its keyboard.",
        host_names_and_ipv6_addresses_work:
            "The client sends `/exit` and waits for its keyboard again.",
        a_client_waits_one_second_for_the_goodbye:
            "The client sends `/exit` and waits for its keyboard again.",
        a_client_reports_the_broken_connection:
            "EOF from the server ends a task, but the client waits for its keyboard.",
        a_client_reports_the_refusal:
            "EOF from the server ends a task, but the client waits for its keyboard.",
        a_lost_connection_is_an_error:
            "The client prints a panic beside the error.",
        piped_lines_all_arrive:
            "The client ends at EOF on stdin, before the goodbye arrives.",
        a_malformed_address_shows_the_form:
            "`main` prints the `Debug` form of the error, which shows no example.",
        an_unusable_address_reports_the_os_error:
            "`main` prints the `Debug` form of the error, without the address.",
        bad_arguments_exit_with_2:
            "A missing argument is an index out of bounds: a panic, and exit code 101.",
        help_shows_the_default_address:
            "There is no help and no default.",
    ],
    breaks_slowly: [
        slow_readers_cost_other_clients_no_line:
            "`write_all` waits with the lock held: one client that does not read stops the room.",
        slow_readers_cost_no_line_with_five_senders:
            "`write_all` waits with the lock held: one client that does not read stops the room.",
        twenty_floods_reach_every_reader:
            "`write_all` waits with the lock held: one client that does not read stops the room.",
        two_hundred_floods_reach_every_reader:
            "`write_all` waits with the lock held: one client that does not read stops the room.",
        a_steady_reader_is_evicted_at_the_end_of_a_line:
            "No client is evicted: a slow reader sets the pace of the room.",
        ten_thousand_idle_clients_are_served:
            "`write_all` waits with the lock held: one client that does not read stops the room.",
        two_thousand_senders_do_not_starve_another_client:
            "Nothing parses a line, so the blank lines are relayed to 2,000 clients.",
    ],
    unstable: [
        input_that_ends_at_once_is_delivered:
            "If the client ends with unread input, the reset may destroy what it sent.",
        a_reset_during_a_write_causes_one_leave_notice:
            "Timing decides which task first writes to a client that is gone, and ends.",
        clients_that_send_after_exit_delay_no_other_client:
            "Timing decides which task first writes to a client that is gone, and ends.",
    ],
}
